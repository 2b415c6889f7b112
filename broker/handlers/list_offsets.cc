#include "wire/kafka/list_offsets.h"

#include <limits>

#include "broker/handlers/handlers.h"

namespace qlab::broker {
namespace {

using storage::Log;
using wire::KafkaError;
using wire::ListOffsetsRequest;
using wire::ListOffsetsResponse;

constexpr std::int64_t latest = -1;
constexpr std::int64_t earliest = -2;
constexpr std::int64_t of_max_timestamp = -3;
constexpr std::int64_t earliest_local = -4;
constexpr std::int64_t latest_tiered = -5;

// That offsets cannot be told yet: the only use of it here.
constexpr Errc too_early = Errc::overloaded;
constexpr std::int16_t offset_not_available_version_min = 5;

using Found = std::optional<Log::TimestampOffset>;

// Nothing has a later timestamp than what this finds: halves the times that are left, since a log
// only tells the first offset from a time on.
Task<Result<Found>> find_max_timestamp(Log& log, Offset limit) {
  CO_TRY(Found best, co_await log.find_timestamp(0, limit));
  std::int64_t none_from = std::numeric_limits<std::int64_t>::max();
  while (best && best->timestamp < none_from - 1) {
    const std::int64_t middle = best->timestamp + (none_from - best->timestamp) / 2;
    CO_TRY(const Found later, co_await log.find_timestamp(middle, limit));
    if (later) {
      best = later;
    } else {
      none_from = middle;
    }
  }
  co_return best;
}

Task<Result<Found>> find_offset(Log& log, Offset limit, std::int64_t timestamp) {
  switch (timestamp) {
    case latest:
      co_return Found{{limit, -1, log.latest_epoch()}};
    case earliest:
    case earliest_local:
      co_return Found{{log.start(), -1, no_leader_epoch}};
    case of_max_timestamp:
      co_return co_await find_max_timestamp(log, limit);
    case latest_tiered:
      co_return Found{};  // There is no tier below.
    default:
      co_return co_await log.find_timestamp(timestamp, limit);
  }
}

Result<void> check_leader(const replication::Replicator& replica, LeaderEpoch current) {
  if (!replica.is_leader()) return fail(Errc::not_leader, "another broker leads the partition");
  const LeaderEpoch ours = replica.state().leader_epoch;
  if (current == no_leader_epoch || current == ours) return {};
  return fail(current < ours ? Errc::fenced : Errc::unknown_epoch, "the leader epoch is {}, not {}",
              ours, current);
}

Task<Result<Found>> find_here(Partitions::ReplicaPtr replica, ListOffsetsRequest::Partition wanted,
                              bool is_replica) {
  if (replica == nullptr) {
    co_return fail(Errc::not_leader, "this broker has no replica of the partition");
  }
  CO_TRY_VOID(check_leader(*replica, wanted.current_leader_epoch));
  const bool is_of_start = wanted.timestamp == earliest || wanted.timestamp == earliest_local;
  if (!is_replica && !is_of_start && !replica->is_watermark_known()) {
    co_return fail(too_early, "the leader does not know yet what is committed");
  }
  Log& log = replica->log();
  const Offset limit = is_replica ? log.end() : replica->high_watermark();
  co_return co_await find_offset(log, limit, wanted.timestamp);
}

KafkaError list_error(Errc code, std::int16_t version) {
  if (code != too_early) return wire::kafka_error_of(code);
  return version >= offset_not_available_version_min ? KafkaError::offset_not_available
                                                     : KafkaError::leader_not_available;
}

Task<ListOffsetsResponse::Partition> answer_for(Services& services, std::string topic,
                                                ListOffsetsRequest::Partition wanted,
                                                bool is_replica, std::int16_t version) {
  ListOffsetsResponse::Partition answer;
  answer.partition_index = wanted.partition_index;
  Result<Found> found = Found{};
  const auto key = find_partition(services, topic, wanted.partition_index);
  if (key) {
    const auto work = [wanted, is_replica](Partitions::ReplicaPtr replica) {
      return find_here(std::move(replica), wanted, is_replica);
    };
    found = co_await services.partitions.with_replica<Result<Found>>(*key, work);
  } else {
    found = fail(key.error());
  }
  if (!found) {
    answer.error_code = list_error(found.error().code, version);
  } else if (*found) {
    answer.timestamp = (*found)->timestamp;
    answer.offset = (*found)->offset;
    answer.leader_epoch = (*found)->epoch;
  }
  co_return answer;
}

}  // namespace

Task<Result<Bytes>> handle_list_offsets(Services& services, Request request) {
  CO_TRY(const auto message, decode_body<ListOffsetsRequest>(request));
  ListOffsetsResponse response;
  for (const auto& topic : message.topics) {
    auto& answers = response.topics.emplace_back();
    answers.name = topic.name;
    for (const auto& partition : topic.partitions) {
      answers.partitions.push_back(co_await answer_for(services, topic.name, partition,
                                                       message.replica_id.value() >= 0,
                                                       request.header.api_version));
    }
  }
  co_return encode_answer(request, response);
}

}  // namespace qlab::broker
