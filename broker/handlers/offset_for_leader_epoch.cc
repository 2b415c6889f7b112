#include "wire/kafka/offset_for_leader_epoch.h"

#include "broker/handlers/handlers.h"

namespace qlab::broker {
namespace {

using wire::OffsetForLeaderEpochRequest;
using wire::OffsetForLeaderEpochResponse;

Task<Result<storage::EpochEnd>> find_here(Partitions::ReplicaPtr replica,
                                          OffsetForLeaderEpochRequest::Partition wanted) {
  if (replica == nullptr || !replica->is_leader()) {
    co_return fail(Errc::not_leader, "another broker leads the partition");
  }
  const LeaderEpoch ours = replica->state().leader_epoch;
  const LeaderEpoch current = wanted.current_leader_epoch;
  if (current != no_leader_epoch && current != ours) {
    co_return fail(current < ours ? Errc::fenced : Errc::unknown_epoch,
                   "the leader epoch is {}, not {}", ours, current);
  }
  // Its own epoch has begun, even when it has not appended in it yet.
  storage::Log& log = replica->log();
  if (wanted.leader_epoch == ours) co_return storage::EpochEnd{ours, log.end()};
  if (wanted.leader_epoch > ours) co_return storage::EpochEnd{no_leader_epoch, Offset{-1}};
  storage::EpochEnd end = log.end_of_epoch(wanted.leader_epoch);
  if (end.epoch == no_leader_epoch) end.end = Offset{-1};
  co_return end;
}

}  // namespace

// Where an epoch ended here, by which a reader finds out what it has that this leader does not
// (KIP-101, KIP-320).
Task<Result<Bytes>> handle_offset_for_leader_epoch(Services& services, Request request) {
  CO_TRY(const auto message, decode_body<OffsetForLeaderEpochRequest>(request));
  OffsetForLeaderEpochResponse response;
  for (const auto& topic : message.topics) {
    auto& answers = response.topics.emplace_back();
    answers.topic = topic.topic;
    for (const auto& wanted : topic.partitions) {
      auto& answer = answers.partitions.emplace_back();
      answer.partition = wanted.partition;
      const auto key = find_partition(services, topic.topic, wanted.partition);
      if (!key) {
        answer.error_code = wire::KafkaError::unknown_topic_or_partition;
        continue;
      }
      const auto work = [wanted](Partitions::ReplicaPtr replica) {
        return find_here(std::move(replica), wanted);
      };
      const auto end =
          co_await services.partitions.with_replica<Result<storage::EpochEnd>>(*key, work);
      if (end) {
        answer.leader_epoch = end->epoch;
        answer.end_offset = end->end;
      } else {
        answer.error_code = wire::kafka_error_of(end.error().code);
      }
    }
  }
  co_return encode_answer(request, response);
}

}  // namespace qlab::broker
