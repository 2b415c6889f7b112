// Brokers come, go, come back as other processes, and ask to go.
//
// Source: Kafka 3.9, KafkaController.processBrokerChange, onBrokerStartup, onBrokerFailure,
// doControlledShutdown.

#include "common/logging.h"
#include "controller/zk/reign.h"
#include "runtime/trace.h"

namespace qlab::controller {

Task<Result<void>> Reign::on_brokers_changed() {
  CO_TRY(auto now, co_await registered_brokers());
  std::set<NodeId> started;
  std::set<NodeId> bounced;
  std::set<NodeId> failed;
  for (const auto& [id, broker] : now) {
    const auto before = context_.brokers.find(id);
    if (before == context_.brokers.end()) {
      started.insert(id);
    } else if (before->second.epoch < broker.epoch) {
      bounced.insert(id);
    }
  }
  for (const auto& [id, broker] : context_.brokers) {
    if (!now.contains(id)) failed.insert(id);
  }
  if (!started.empty() || !bounced.empty() || !failed.empty()) {
    log(LogLevel::info, "controller", "brokers: {} came, {} came back, {} went",
        fmt::join(started, ","), fmt::join(bounced, ","), fmt::join(failed, ","));
  }
  for (const NodeId id : started) channels_.add(id, now.at(id).epoch);
  for (const NodeId id : bounced) channels_.add(id, now.at(id).epoch);
  for (const NodeId id : failed) channels_.remove(id);

  if (!bounced.empty()) {
    for (const NodeId id : bounced) context_.brokers.erase(id);
    CO_TRY_VOID(co_await on_brokers_failed(bounced));
    for (const NodeId id : bounced) context_.brokers[id] = now.at(id);
    CO_TRY_VOID(co_await on_brokers_started(bounced));
  }
  if (!started.empty()) {
    for (const NodeId id : started) context_.brokers[id] = now.at(id);
    CO_TRY_VOID(co_await on_brokers_started(started));
  }
  if (!failed.empty()) {
    for (const NodeId id : failed) context_.brokers.erase(id);
    CO_TRY_VOID(co_await on_brokers_failed(failed));
  }
  co_return Result<void>{};
}

Task<Result<void>> Reign::on_brokers_started(std::set<NodeId> started) {
  for (const NodeId id : started) context_.shutting_down.erase(id);
  // The others hear of the new ones, and these of everything.
  std::vector<NodeId> others = context_.live_brokers();
  std::erase_if(others, [&](NodeId id) { return started.contains(id); });
  batch_.add_update_metadata(others);
  send_batch();
  batch_.add_update_metadata({started.begin(), started.end()});
  context_.for_each([&](PartitionRef ref) {
    if (ref.get().has_state()) batch_.add_update_metadata(ref);
  });
  tell_that_is_all();  // They may have been cut off while topics were deleted.
  send_batch();
  const Replicas replicas = context_.replicas_on(started);
  Replicas kept;
  for (const ReplicaRef& replica : replicas) {
    if (!replica.partition.topic->to_be_deleted) kept.push_back(replica);
  }
  to_online(kept);
  CO_TRY_VOID(co_await elect_offline_and_new());
  for (const ReplicaRef& replica : replicas) replica.partition.topic->deletion_ineligible = false;
  co_return co_await resume_deletions();
}

Task<Result<void>> Reign::on_brokers_failed(std::set<NodeId> failed) {
  const std::int64_t before = states_written_;
  std::map<NodeId, std::string_view> reasons;
  for (const NodeId id : failed) {
    const bool in_order = context_.shutting_down.erase(id) > 0;
    reasons[id] = in_order ? "shutdown" : "session_timeout";
    runtime_.trace().emit("broker_fenced", {{"broker", id.value()}, {"reason", reasons[id]}});
  }
  CO_TRY_VOID(co_await on_replicas_offline(context_.replicas_on(failed)));
  for (const auto& [id, reason] : reasons) {
    runtime_.trace().emit("broker_removed", {{"broker", id.value()},
                                             {"reason", reason},
                                             {"records", states_written_ - before},
                                             {"offset", -1}});
  }
  co_return Result<void>{};
}

Task<Result<void>> Reign::on_replicas_offline(Replicas replicas) {
  Replicas kept;
  for (const ReplicaRef& replica : replicas) {
    if (!replica.partition.topic->to_be_deleted) {
      kept.push_back(replica);
    } else {
      context_.state_of(replica) = ReplicaState::deletion_ineligible;
      replica.partition.topic->deletion_ineligible = true;
    }
  }
  Partitions leaderless;
  context_.for_each([&](PartitionRef ref) {
    const ZkPartition& partition = ref.get();
    if (partition.state == PartitionState::online && !context_.is_live(partition.leader)) {
      leaderless.push_back(ref);
    }
  });
  to_offline(leaderless);
  CO_TRY_VOID(co_await elect_offline_and_new());
  CO_TRY_VOID(co_await to_offline(std::move(kept)));
  if (leaderless.empty()) {
    tell_all({});
    send_batch();
  }
  co_return Result<void>{};
}

Task<Result<std::vector<TopicPartition>>> Reign::shut_down(NodeId broker, BrokerEpoch epoch) {
  CO_TRY_VOID(known(broker, epoch));
  context_.shutting_down.insert(broker);
  const std::int64_t before = states_written_;
  Partitions led;
  Replicas followed;
  for (const ReplicaRef& replica : context_.replicas_on({broker})) {
    const ZkPartition& partition = replica.partition.get();
    const bool counts = context_.replicas(partition).size() > 1 && partition.has_state() &&
                        !replica.partition.topic->to_be_deleted;
    if (!counts) continue;
    if (partition.leader == broker) {
      led.push_back(replica.partition);
    } else {
      followed.push_back(replica);
    }
  }
  CO_TRY_VOID(co_await to_online(led, Election::controlled_shutdown));
  // It stops following before the ISRs say so.
  for (const ReplicaRef& replica : followed) {
    batch_.add_stop_replica(broker, replica.partition, false);
  }
  send_batch();
  CO_TRY_VOID(co_await to_offline(std::move(followed)));
  std::vector<TopicPartition> left;
  for (const PartitionRef ref : led) {
    if (ref.get().leader == broker) left.push_back({ref.topic->name, ref.index});
  }
  if (left.empty()) {
    runtime_.trace().emit(
        "broker_handed_over",
        {{"broker", broker.value()}, {"records", states_written_ - before}, {"offset", -1}});
  }
  co_return left;
}

}  // namespace qlab::controller
