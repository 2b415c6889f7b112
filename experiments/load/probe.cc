// Mode probe: creates topics at intended times, whether or not earlier ones were answered. Its
// first ack after a fault says when metadata writes work again.

#include <algorithm>
#include <ctime>
#include <thread>

#include <nlohmann/json.hpp>

#include "experiments/load/kafka_client.h"
#include "experiments/load/modes.h"
#include "experiments/load/recorder.h"
#include "experiments/load/schedule.h"

namespace qlab::experiments {
namespace {

using std::chrono::milliseconds;

class Probe {
 public:
  Probe(const LoadOptions& options, Recorder& recorder, Client client)
      : options_(options),
        recorder_(recorder),
        client_(std::move(client)),
        answers_(rd_kafka_queue_new(client_.get())),
        refresher_([this] { refresh(); }) {}

  ~Probe() {
    running_ = false;
    refresher_.join();
  }

  // Errors: timed_out when no broker answers within options.connect_timeout_ms.
  Result<void> connect() {
    const std::int64_t deadline_ns = monotonic_ns() + options_.connect_timeout_ms * 1'000'000;
    while (monotonic_ns() < deadline_ns) {
      if (rd_kafka_controllerid(client_.get(), 1000) >= 0) return {};
    }
    return fail(Errc::timed_out, "no controller known from {} within {} ms", options_.bootstrap,
                options_.connect_timeout_ms);
  }

  void run(StopSignals& signals) {
    const std::int64_t start_ns = monotonic_ns();
    const auto end_ns = options_.duration_s > 0
                            ? start_ns + static_cast<std::int64_t>(options_.duration_s * 1e9)
                            : INT64_MAX;
    recorder_.measure_from(start_ns);
    fmt::print("measuring t_ns={} steady=true\n", start_ns);
    std::fflush(stdout);
    Schedule schedule(options_.arrivals, options_.rate, start_ns,
                      static_cast<std::uint64_t>(options_.seed));
    std::int64_t next_line_ns = start_ns + 1'000'000'000;
    for (std::int64_t number = 0; !signals.asked(milliseconds(0)); ++number) {
      const std::int64_t intended_ns = schedule.next();
      if (intended_ns >= end_ns) return;
      while (monotonic_ns() < intended_ns) take_answer(intended_ns);
      const Operation operation{number, intended_ns, monotonic_ns(), 0, -1};
      recorder_.invoke(operation);
      create_topic(client_.get(), options_, fmt::format("{}{}", options_.topic, number),
                   answers_.get(), reinterpret_cast<void*>(number));
      if (monotonic_ns() < next_line_ns) continue;
      next_line_ns += 1'000'000'000;
      fmt::print(stderr, "{}\n", recorder_.progress_line());
      recorder_.flush();
    }
  }

  void wait_for_answers(StopSignals& signals) {
    const std::int64_t deadline_ns =
        monotonic_ns() + (options_.request_timeout_ms + 1000) * 1'000'000;
    while (recorder_.open_operations() > 0 && monotonic_ns() < deadline_ns && !signals.insisted()) {
      take_answer(monotonic_ns() + 20'000'000);
      signals.asked(milliseconds(0));
    }
  }

 private:
  // Takes one answer, waiting for it until `until_ns` at most.
  void take_answer(std::int64_t until_ns) {
    const std::int64_t left_ms = (until_ns - monotonic_ns()) / 1'000'000;
    const Event answer(rd_kafka_queue_poll(
        answers_.get(), static_cast<int>(std::clamp<std::int64_t>(left_ms, 0, 50))));
    if (!answer) {
      const timespec nap{0, std::clamp<std::int64_t>(until_ns - monotonic_ns(), 0, 1'000'000)};
      nanosleep(&nap, nullptr);  // The queue waits in whole milliseconds.
      return;
    }
    if (rd_kafka_event_type(answer.get()) != RD_KAFKA_EVENT_CREATETOPICS_RESULT) return;
    const rd_kafka_resp_err_t error = created(answer.get());
    // Names are unique, so a topic that exists was made by an earlier attempt of the same request.
    const bool exists = error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS;
    const Outcome outcome =
        exists ? Outcome::ok
               : outcome_of(error, error < 0 ? RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED
                                             : RD_KAFKA_MSG_STATUS_NOT_PERSISTED);
    recorder_.complete(reinterpret_cast<std::int64_t>(rd_kafka_event_opaque(answer.get())), outcome,
                       -1, -1, outcome == Outcome::ok ? "" : rd_kafka_err2name(error));
  }

  // librdkafka learns of a new controller from metadata only, and asks for it once in five minutes.
  // This asks all the time, so that the client's ignorance is no part of what is measured.
  void refresh() {
    while (running_) {
      const rd_kafka_metadata_t* metadata = nullptr;
      if (rd_kafka_metadata(client_.get(), 0, nullptr, &metadata, 200) ==
          RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_metadata_destroy(metadata);
      }
      std::this_thread::sleep_for(milliseconds(25));
    }
  }

  const LoadOptions& options_;
  Recorder& recorder_;
  Client client_;
  Queue answers_;
  std::atomic<bool> running_ = true;
  std::thread refresher_;
};

}  // namespace

Result<void> run_probe(const LoadOptions& options, StopSignals& signals) {
  Recorder recorder(options, "create_topic");
  TRY_VOID(recorder.open());
  TRY_VOID(log_clients_to(std::filesystem::path(options.output) / "client.log"));
  TRY(Client client, make_client(RD_KAFKA_PRODUCER, options, {}));
  Probe probe(options, recorder, std::move(client));
  TRY_VOID(probe.connect());
  probe.run(signals);
  const std::int64_t offered_until_ns = monotonic_ns();
  probe.wait_for_answers(signals);
  return recorder.finish({{"mode", "probe"},
                          {"topic_prefix", options.topic},
                          {"target_rate", options.rate},
                          {"offered_until_ns", offered_until_ns},
                          {"unanswered", recorder.open_operations()},
                          {"librdkafka", rd_kafka_version_str()}});
}

}  // namespace qlab::experiments
