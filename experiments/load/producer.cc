#include "experiments/load/producer.h"

#include <algorithm>
#include <array>
#include <ctime>

#include "experiments/load/record_value.h"

namespace qlab::experiments {
namespace {

constexpr std::int64_t kSleepMaxNs = 50'000'000;  // So that a stop is noticed soon at low rates.

void sleep_until(std::int64_t at_ns) {
  const timespec at{at_ns / 1'000'000'000, at_ns % 1'000'000'000};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr);
}

Properties producer_properties(const LoadOptions& o) {
  const std::int64_t ack_timeout_ms = std::min(o.message_timeout_ms, o.request_timeout_ms);
  return {{"enable.idempotence", o.idempotence ? "true" : "false"},
          {"acks", o.acks},
          {"message.timeout.ms", std::to_string(o.message_timeout_ms)},
          {"request.timeout.ms", std::to_string(ack_timeout_ms)},
          {"retries", std::to_string(o.retries)},
          {"max.in.flight.requests.per.connection", std::to_string(o.in_flight_max)},
          {"linger.ms", std::to_string(o.linger_ms)},
          {"compression.codec", o.compression},
          {"partitioner", "murmur2_random"},
          {"message.max.bytes", "1048588"},
          {"queue.buffering.max.messages", "1000000"},
          {"queue.buffering.max.kbytes", "1048576"}};
}

}  // namespace

Producer::Producer(const LoadOptions& options, int process, Recorder& recorder)
    : options_(options), process_(process), recorder_(recorder) {}

Result<std::unique_ptr<Producer>> Producer::make(const LoadOptions& options, int process,
                                                 Recorder& recorder) {
  std::unique_ptr<Producer> self(new Producer(options, process, recorder));
  TRY(self->client_, make_client(RD_KAFKA_PRODUCER, options, producer_properties(options),
                                 on_delivery, self.get()));
  return self;
}

Producer::~Producer() {
  stop_sending();
  stop();
}

void Producer::start(Schedule schedule, std::int32_t partitions,
                     std::atomic<std::int64_t>& numbers) {
  answerer_ = std::thread([this] {
    while (answering_) rd_kafka_poll(client_.get(), 20);
  });
  sender_ = std::thread(
      [this, schedule, partitions, &numbers] { send_all(schedule, partitions, numbers); });
}

void Producer::send_all(Schedule schedule, std::int32_t partitions,
                        std::atomic<std::int64_t>& numbers) {
  Prng keys(static_cast<std::uint64_t>(options_.seed + process_));
  while (sending_) {
    const std::int64_t intended_ns = schedule.next();
    std::int64_t now_ns = monotonic_ns();
    while (sending_ && now_ns < intended_ns) {
      sleep_until(std::min(intended_ns, now_ns + kSleepMaxNs));
      now_ns = monotonic_ns();
    }
    if (!sending_) return;
    const std::int64_t number = numbers.fetch_add(1);
    const auto turn = static_cast<std::int32_t>(number % partitions);
    send({number, intended_ns, now_ns, process_, options_.keys == 0 ? turn : -1}, keys);
  }
}

void Producer::send(const Operation& operation, Prng& keys) {
  Bytes value = encode_value({operation.number, operation.intended_ns},
                             static_cast<std::size_t>(options_.record_bytes));
  std::string key;
  if (options_.keys > 0) {
    key = fmt::format("key-{}", keys.below(static_cast<std::uint64_t>(options_.keys)));
  }
  recorder_.invoke(operation);
  // In place of rd_kafka_producev, whose macros cast as C does.
  std::array<rd_kafka_vu_t, 6> fields{};
  fields[0].vtype = RD_KAFKA_VTYPE_TOPIC;
  fields[0].u.cstr = options_.topic.c_str();
  fields[1].vtype = RD_KAFKA_VTYPE_PARTITION;
  fields[1].u.i32 = operation.partition < 0 ? RD_KAFKA_PARTITION_UA : operation.partition;
  fields[2].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
  fields[2].u.i = RD_KAFKA_MSG_F_COPY;
  fields[3].vtype = RD_KAFKA_VTYPE_KEY;
  fields[3].u.mem = {key.empty() ? nullptr : key.data(), key.size()};
  fields[4].vtype = RD_KAFKA_VTYPE_VALUE;
  fields[4].u.mem = {value.data(), value.size()};
  fields[5].vtype = RD_KAFKA_VTYPE_OPAQUE;
  fields[5].u.ptr = reinterpret_cast<void*>(operation.number);
  const Owned<rd_kafka_error_t, rd_kafka_error_destroy> error(
      rd_kafka_produceva(client_.get(), fields.data(), fields.size()));
  if (error) {  // It was never handed over, so it cannot have happened.
    recorder_.complete(operation.number, Outcome::fail, operation.partition, -1,
                       rd_kafka_err2name(rd_kafka_error_code(error.get())));
  }
}

void Producer::on_delivery(rd_kafka_t*, const rd_kafka_message_t* message, void* self) {
  const auto number = reinterpret_cast<std::int64_t>(message->_private);
  const Outcome outcome = outcome_of(message->err, rd_kafka_message_status(message));
  static_cast<Producer*>(self)->recorder_.complete(
      number, outcome, message->partition, outcome == Outcome::ok ? message->offset : -1,
      outcome == Outcome::ok ? "" : rd_kafka_err2name(message->err));
}

void Producer::stop_sending() {
  sending_ = false;
  if (sender_.joinable()) sender_.join();
}

void Producer::stop() {
  answering_ = false;
  if (answerer_.joinable()) answerer_.join();
  if (!client_) return;
  // What the client still holds would otherwise be waited for, or reported during its destruction.
  rd_kafka_purge(client_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  rd_kafka_poll(client_.get(), 0);
  client_.reset();
}

}  // namespace qlab::experiments
