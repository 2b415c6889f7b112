#include "wire/kafka/fetch.h"

#include "broker/handlers/handlers.h"
#include "replication/fetch_reader.h"

namespace qlab::broker {
namespace {

using replication::ChangeFeed;
using replication::FetchOutcome;
using replication::FetchReader;
using replication::FetchSession;
using replication::FetchSessions;
using wire::FetchRequest;
using wire::FetchResponse;
using wire::KafkaError;

constexpr std::int8_t read_committed = 1;
constexpr std::int16_t first_with_rack = 11;
constexpr std::int16_t first_by_id = 13;  // From here on topics are named by their ids.
// Kafka's fetch.max.bytes of a broker: what a client asks for is held in memory.
constexpr std::size_t fetch_bytes_max = 57'671'680;
constexpr std::int32_t wait_ms_max = 300'000;

// Who reads, and how.
struct Reader {
  NodeId follower = no_node;  // no_node: a consumer.
  BrokerEpoch epoch;
  bool takes_followers = false;
  std::vector<NodeId> near = {};
};

Task<Result<FetchOutcome>> read_here(Partitions::ReplicaPtr replica, FetchRequest::Partition wanted,
                                     Reader reader, std::size_t bytes_max) {
  if (replica == nullptr) {
    co_return fail(Errc::not_leader, "this broker has no replica of the partition");
  }
  if (reader.follower == no_node) {
    replication::ConsumerFetch fetch;
    fetch.offset = wanted.fetch_offset;
    fetch.current = wanted.current_leader_epoch;
    fetch.takes_followers = reader.takes_followers;
    fetch.near = std::move(reader.near);
    co_return co_await replica->fetch_as_consumer(std::move(fetch), bytes_max);
  }
  replication::ReplicaFetch fetch;
  fetch.replica = reader.follower;
  fetch.broker_epoch = reader.epoch;
  fetch.offset = wanted.fetch_offset;
  fetch.last_fetched_epoch = wanted.last_fetched_epoch;
  fetch.log_start = wanted.log_start_offset;
  co_return co_await replica->fetch_as_replica(fetch, wanted.current_leader_epoch, bytes_max);
}

Result<PartitionKey> key_of(const Services& services, const FetchSession::Entry& entry) {
  if (!entry.topic->name.empty()) {
    return find_partition(services, entry.topic->name, entry.wanted.partition);
  }
  const metadata::TopicPtr topic = services.cluster.image()->topic(entry.topic->id);
  if (topic == nullptr)
    return fail(Errc::not_found, "there is no topic {}", entry.topic->id.to_string());
  return find_partition(services, topic->name, entry.wanted.partition);
}

// Reads one partition of a session, on its shard.
Task<Result<FetchOutcome>> look(Services& services, FetchSession& session, Reader reader,
                                FetchSession::Slot slot, std::size_t bytes_max, bool listens) {
  const FetchSession::Entry entry = session.at(slot);
  CO_TRY(const PartitionKey key, key_of(services, entry));
  ChangeFeed::Part* const part =
      listens ? &session.feed().part(slot, services.partitions.shard_index(key)) : nullptr;
  const auto work = [&entry, reader, bytes_max, part, slot](Partitions::ReplicaPtr replica) {
    if (part != nullptr && replica != nullptr) part->look(slot, *replica);
    return read_here(std::move(replica), entry.wanted, reader, bytes_max);
  };
  co_return co_await services.partitions.with_replica<Result<FetchOutcome>>(key, work);
}

std::size_t clamped(std::int32_t bytes) {
  return static_cast<std::size_t>(std::max(bytes, 0));
}

replication::FetchLimits limits_of(const FetchRequest& message, Time now) {
  replication::FetchLimits limits;
  limits.bytes_max = std::min(clamped(message.max_bytes), fetch_bytes_max);
  limits.bytes_min = std::min(clamped(message.min_bytes), limits.bytes_max);
  limits.due = now + std::chrono::milliseconds(std::clamp(message.max_wait_ms, 0, wait_ms_max));
  return limits;
}

KafkaError error_of(const Services& services, const FetchSession::Entry& entry,
                    const FetchReader::Found& found) {
  if (found.outcome) {
    return found.outcome->is_out_of_range ? KafkaError::offset_out_of_range : KafkaError::none;
  }
  const bool by_id = entry.topic->name.empty();
  if (by_id && services.cluster.image()->topic(entry.topic->id) == nullptr) {
    return KafkaError::unknown_topic_id;
  }
  return wire::kafka_error_of(found.outcome.error().code);
}

FetchResponse::Partition answer_of(const Services& services, const FetchSession::Entry& entry,
                                   const FetchReader::Found& found, bool is_committed_only) {
  FetchResponse::Partition answer;
  answer.partition_index = entry.wanted.partition;
  answer.records = ByteView{};
  answer.error_code = error_of(services, entry, found);
  if (!found.outcome) {
    answer.high_watermark = Offset{-1};
    return answer;
  }
  const FetchOutcome& outcome = *found.outcome;
  answer.high_watermark = outcome.high_watermark;
  answer.last_stable_offset = outcome.high_watermark;  // There are no transactions.
  answer.log_start_offset = outcome.log_start;
  if (is_committed_only) answer.aborted_transactions.emplace();
  if (outcome.diverging) {
    answer.diverging_epoch = {outcome.diverging->epoch, outcome.diverging->end};
  }
  if (outcome.preferred_replica) answer.preferred_read_replica = *outcome.preferred_replica;
  answer.records = ByteView(outcome.batches);
  return answer;
}

// What the reader has to be told: all that was found, or what is news to it.
void fill(const Services& services, const FetchSessions::Use& use, FetchReader& reader,
          bool is_committed_only, FetchResponse& response) {
  std::map<const replication::FetchTopic*, std::size_t> places;
  for (auto& [slot, found] : reader.found()) {
    FetchSession::Entry& entry = use.session->at(slot);
    FetchResponse::Partition answer = answer_of(services, entry, found, is_committed_only);
    if (!entry.tell(answer) && !use.is_full) continue;
    const auto [at, is_new] = places.try_emplace(entry.topic, response.topics.size());
    if (is_new) {
      auto& topic = response.topics.emplace_back();
      topic.topic = entry.topic->name;
      topic.topic_id = entry.topic->id;
    }
    response.topics[at->second].partitions.push_back(answer);
  }
}

// KIP-392.
Reader reader_of(const Services& services, const FetchRequest& message, std::int16_t version) {
  Reader reader;
  reader.follower = replication::reader_of(message);
  reader.epoch = message.replica_state.replica_epoch;
  reader.takes_followers = reader.follower == no_node && version >= first_with_rack &&
                           services.config.server.rack_aware_reads;
  if (!reader.takes_followers || message.rack_id.empty()) return reader;
  for (const auto& [id, broker] : services.cluster.image()->brokers()) {
    if (broker.is_active() && broker.rack == message.rack_id) reader.near.push_back(id);
  }
  return reader;
}

}  // namespace

Task<Result<Bytes>> handle_fetch(Services& services, Request request) {
  CO_TRY(const auto message, decode_body<FetchRequest>(request));
  FetchResponse response;
  const bool by_id = request.header.api_version >= first_by_id;
  const auto use = services.fetch_sessions.begin(message, by_id, services.runtime.now());
  if (!use) {
    response.error_code = use.error();
    co_return encode_answer(request, response);
  }
  const Reader who = reader_of(services, message, request.header.api_version);
  FetchSession& session = *use->session;
  FetchReader reader(
      services.runtime, session, limits_of(message, services.runtime.now()),
      [&services, &session, who](FetchSession::Slot slot, std::size_t bytes_max, bool listens) {
        return look(services, session, who, slot, bytes_max, listens);
      },
      use->is_full, use->id != 0);
  const std::shared_ptr<Hurry> hurry = request.hurry;
  hurry->on_ask([&session] { session.feed().wake(); });
  std::function<bool()> is_closing = [&services, hurry] {
    return hurry->is_asked() || services.fetch_sessions.is_closed();
  };
  co_await reader.read(std::move(is_closing));
  hurry->on_ask(nullptr);
  fill(services, *use, reader, message.isolation_level == read_committed, response);
  response.session_id = use->id;
  auto answer = encode_answer(request, response);
  reader.mark_unsettled();
  services.fetch_sessions.end(*use);
  co_return answer;
}

}  // namespace qlab::broker
