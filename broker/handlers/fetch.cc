#include "wire/kafka/fetch.h"

#include "broker/handlers/handlers.h"

namespace qlab::broker {
namespace {

using replication::FetchOutcome;
using replication::ReplicaFetch;
using wire::FetchRequest;
using wire::FetchResponse;
using wire::KafkaError;

constexpr std::int8_t read_committed = 1;
// Kafka's fetch.max.bytes of a broker: what a client asks for is held in memory.
constexpr std::size_t fetch_bytes_max = 57'671'680;

// One partition of a fetch, over all its tries.
struct Asked {
  const FetchRequest::Partition* wanted = nullptr;
  Result<PartitionKey> key = fail(Errc::not_found, "not looked for");
  Result<FetchOutcome> outcome = FetchOutcome{};
};

Task<Result<FetchOutcome>> read_here(Partitions::ReplicaPtr replica, FetchRequest::Partition wanted,
                                     NodeId reader, std::size_t bytes_max) {
  if (replica == nullptr) {
    co_return fail(Errc::not_leader, "this broker has no replica of the partition");
  }
  if (reader.value() < 0) {
    co_return co_await replica->fetch_as_consumer(wanted.fetch_offset, wanted.current_leader_epoch,
                                                  bytes_max);
  }
  ReplicaFetch fetch;
  fetch.replica = reader;
  fetch.broker_epoch = BrokerEpoch{-1};
  fetch.offset = wanted.fetch_offset;
  fetch.last_fetched_epoch = wanted.last_fetched_epoch;
  fetch.log_start = wanted.log_start_offset;
  co_return co_await replica->fetch_as_replica(fetch, wanted.current_leader_epoch, bytes_max);
}

struct Haul {
  std::size_t bytes = 0;
  bool is_urgent = false;  // There is something besides records that must not wait.
};

std::size_t clamped(std::int32_t bytes) {
  return static_cast<std::size_t>(std::max(bytes, 0));
}

std::size_t bytes_max_of(const FetchRequest& message) {
  return std::min(clamped(message.max_bytes), fetch_bytes_max);
}

// Reads all partitions once, in the order asked, within max_bytes: the first that has anything
// brings at least a batch, so that a reader always gets on.
Task<Haul> read_all(Services& services, const FetchRequest& message, std::vector<Asked>& asked) {
  Haul haul;
  const std::size_t bytes_max = bytes_max_of(message);
  for (Asked& one : asked) {
    if (!one.key) {
      one.outcome = fail(one.key.error());
      haul.is_urgent = true;
      continue;
    }
    const std::size_t left = bytes_max - std::min(bytes_max, haul.bytes);
    // A batch that was read may be longer than what it was read for.
    const std::size_t bytes = std::min(left, clamped(one.wanted->partition_max_bytes));
    const auto work = [&one, &message, bytes](Partitions::ReplicaPtr replica) {
      return read_here(std::move(replica), *one.wanted, message.replica_id, bytes);
    };
    one.outcome = co_await services.partitions.with_replica<Result<FetchOutcome>>(*one.key, work);
    if (!one.outcome) {
      haul.is_urgent = true;
      continue;
    }
    if (one.outcome->diverging || one.outcome->is_out_of_range) haul.is_urgent = true;
    if (haul.bytes > 0 && one.outcome->batches.size() > left) one.outcome->batches.clear();
    haul.bytes += one.outcome->batches.size();
  }
  co_return haul;
}

// Reads until there is enough, something urgent, or the time is up.
Task<void> read_patiently(Services& services, const FetchRequest& message,
                          std::vector<Asked>& asked) {
  constexpr std::int32_t wait_ms_max = 300'000;
  const Time due = services.runtime.now() +
                   std::chrono::milliseconds(std::clamp(message.max_wait_ms, 0, wait_ms_max));
  const std::size_t enough = std::min(clamped(message.min_bytes), bytes_max_of(message));
  const auto is_enough = [enough](const Haul& haul) {
    return haul.is_urgent || haul.bytes >= enough;
  };
  const Haul first = co_await read_all(services, message, asked);
  if (is_enough(first) || asked.empty()) co_return;

  const auto wait = std::make_shared<FetchWait>(services.partitions);
  for (const Asked& one : asked) services.partitions.watch(*one.key, wait, due);
  // What changed before the watch began shows in this read.
  while (true) {
    const Haul haul = co_await read_all(services, message, asked);
    if (is_enough(haul)) co_return;
    if (services.partitions.is_closing() || services.runtime.now() >= due) co_return;
    co_await wait->wait_until(due);
  }
}

FetchResponse::Partition answer_of(const Asked& one, bool is_committed_only) {
  FetchResponse::Partition answer;
  answer.partition_index = one.wanted->partition;
  answer.records = ByteView{};
  if (!one.outcome) {
    answer.error_code = wire::kafka_error_of(one.outcome.error().code);
    answer.high_watermark = Offset{-1};
    return answer;
  }
  const FetchOutcome& outcome = *one.outcome;
  if (outcome.is_out_of_range) answer.error_code = KafkaError::offset_out_of_range;
  answer.high_watermark = outcome.high_watermark;
  answer.last_stable_offset = outcome.high_watermark;  // There are no transactions.
  answer.log_start_offset = outcome.log_start;
  if (is_committed_only) answer.aborted_transactions.emplace();
  if (outcome.diverging) {
    answer.diverging_epoch = {outcome.diverging->epoch, outcome.diverging->end};
  }
  answer.records = ByteView(outcome.batches);
  return answer;
}

}  // namespace

Task<Result<Bytes>> handle_fetch(Services& services, Request request) {
  CO_TRY(const auto message, decode_body<FetchRequest>(request));
  FetchResponse response;
  if (message.session_id != 0) {
    // Sessions (KIP-227) are not kept; the client goes on with full fetches.
    response.error_code = KafkaError::fetch_session_id_not_found;
    co_return encode_answer(request, response);
  }
  std::vector<Asked> asked;
  for (const auto& topic : message.topics) {
    for (const auto& partition : topic.partitions) {
      asked.push_back(
          {&partition, find_partition(services, topic.topic, partition.partition), FetchOutcome{}});
    }
  }
  co_await read_patiently(services, message, asked);

  auto one = asked.begin();
  for (const auto& topic : message.topics) {
    auto& answers = response.topics.emplace_back();
    answers.topic = topic.topic;
    for (std::size_t i = 0; i < topic.partitions.size(); ++i, ++one) {
      answers.partitions.push_back(answer_of(*one, message.isolation_level == read_committed));
    }
  }
  co_return encode_answer(request, response);
}

}  // namespace qlab::broker
