// Topics are deleted: brokers drop them from their metadata, every replica is deleted, then the
// znodes go. What an earlier controller began is gone on with; while a replica's broker is away,
// the topic waits for it.
//
// Source: Kafka 3.9, TopicDeletionManager.

#include <algorithm>

#include "common/logging.h"
#include "controller/zk/reign.h"

namespace qlab::controller {
namespace {

bool contains(const std::vector<NodeId>& nodes, NodeId node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

}  // namespace

Task<Result<void>> Reign::on_deletions_changed() {
  CO_TRY_VOID(co_await read_deletions());
  decided_->notify_all();
  co_return co_await resume_deletions();
}

Task<Result<void>> Reign::resume_deletions() {
  std::vector<std::string> complete;
  std::vector<ZkTopic*> eligible;
  for (auto& [name, topic] : context_.topics()) {
    if (!topic.to_be_deleted) continue;
    bool is_complete = true;
    bool is_under_way = false;
    for (const PartitionRef ref : context_.partitions_of(topic)) {
      for (const ReplicaRef& replica : context_.replicas_of(ref)) {
        const ReplicaState state = context_.state_of(replica);
        is_complete = is_complete && state == ReplicaState::deletion_successful;
        is_under_way = is_under_way || state == ReplicaState::deletion_started;
      }
    }
    if (is_complete) {
      complete.push_back(name);
    } else if (!is_under_way && !topic.deletion_ineligible) {
      eligible.push_back(&topic);
    }
  }
  CO_TRY_VOID(co_await begin_deletions(std::move(eligible)));
  co_return co_await complete_deletions(std::move(complete));
}

// Also of what is left, after some of the replicas' brokers were away.
Task<Result<void>> Reign::begin_deletions(std::vector<ZkTopic*> topics) {
  Replicas live;
  for (ZkTopic* topic : topics) {
    const Partitions partitions = context_.partitions_of(*topic);
    if (!std::exchange(topic->deletion_begun, true)) tell_all(partitions);
    for (const PartitionRef ref : partitions) {
      for (const ReplicaRef& replica : context_.replicas_of(ref)) {
        ReplicaState& state = context_.state_of(replica);
        if (state == ReplicaState::deletion_successful) continue;
        if (context_.is_live(replica.broker)) {
          live.push_back(replica);
        } else {
          state = ReplicaState::deletion_ineligible;
          topic->deletion_ineligible = true;
        }
      }
    }
  }
  send_batch();
  CO_TRY_VOID(co_await to_offline(live));
  to_deletion_started(live);
  co_return Result<void>{};
}

Task<Result<void>> Reign::on_replicas_deleted(NodeId broker, std::vector<TopicPartition> asked,
                                              wire::StopReplicaResponse response) {
  std::set<TopicPartition> failed;
  for (const auto& partition : response.partition_errors) {
    if (partition.error_code == wire::KafkaError::none) continue;
    failed.insert({partition.topic_name, partition.partition_index});
  }
  const bool all_failed = response.error_code != wire::KafkaError::none;
  for (const TopicPartition& one : asked) {
    ZkTopic* const topic = context_.topic(one.topic);
    // A topic of that name may be another one by now.
    if (topic == nullptr || !topic->to_be_deleted) continue;
    const PartitionRef ref{topic, one.partition};
    if (static_cast<std::size_t>(one.partition.value()) >= topic->partitions.size()) continue;
    if (!contains(context_.replicas(ref.get()), broker)) continue;
    ReplicaState& state = context_.state_of({ref, broker});
    if (state != ReplicaState::deletion_started) continue;
    const bool is_deleted = !all_failed && !failed.contains(one);
    state = is_deleted ? ReplicaState::deletion_successful : ReplicaState::deletion_ineligible;
    if (!is_deleted) topic->deletion_ineligible = true;
  }
  co_return co_await resume_deletions();
}

// From the leaves up: a topic that is half gone is still there and still to be deleted, for whoever
// comes after us.
Task<Result<void>> Reign::complete_deletions(std::vector<std::string> names) {
  std::vector<std::string> states;
  std::vector<std::string> partitions;
  const Session::Make make = [&names](std::size_t i) {
    return children_request(znodes::partitions(names[i]));
  };
  const Session::Take take = [&](std::size_t i, const ClientReply& reply) -> Result<void> {
    TRY(const auto indexes, decode_children(reply));
    for (const std::string& index : indexes) {
      partitions.push_back(fmt::format("{}/{}", znodes::partitions(names[i]), index));
      states.push_back(partitions.back() + "/state");
    }
    return {};
  };
  CO_TRY_VOID(co_await session_->call_all(names.size(), make, take));
  CO_TRY_VOID(co_await delete_all(std::move(states)));
  CO_TRY_VOID(co_await delete_all(std::move(partitions)));
  // The request itself is last: until then a successor goes on.
  using PathOf = std::string (*)(std::string_view name);
  const std::vector<PathOf> rest{&znodes::partitions, &znodes::topic, &znodes::topic_config,
                                 &znodes::deletion};
  for (const PathOf path_of : rest) {
    std::vector<std::string> paths;
    for (const std::string& name : names) paths.push_back(path_of(name));
    CO_TRY_VOID(co_await delete_all(std::move(paths)));
  }
  for (const std::string& name : names) {
    context_.remove_topic(name);
    log(LogLevel::info, "controller", "topic '{}' is deleted", name);
  }
  decided_->notify_all();
  co_return Result<void>{};
}

}  // namespace qlab::controller
