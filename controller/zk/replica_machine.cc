// Replicas' states, and the requests and ISRs that follow from them.
//
// Source: Kafka 3.9, ZkReplicaStateMachine.

#include <algorithm>

#include "common/check.h"
#include "controller/zk/reign.h"

namespace qlab::controller {

using znodes::StateValue;

Task<Result<void>> Reign::start_replicas() {
  Replicas online;
  Replicas offline;
  context_.for_each([&](PartitionRef ref) {
    for (const NodeId node : context_.replicas(ref.get())) {
      const ReplicaRef replica{ref, node};
      const bool is_live = context_.is_live(node);
      context_.state_of(replica) =
          is_live ? ReplicaState::online : ReplicaState::deletion_ineligible;
      (is_live ? online : offline).push_back(replica);
    }
  });
  to_online(online);
  CO_TRY_VOID(co_await to_offline(std::move(offline)));
  co_return Result<void>{};
}

void Reign::set_states(const Replicas& replicas, ReplicaState state) {
  for (const ReplicaRef& replica : replicas) context_.state_of(replica) = state;
}

// Brokers are told of a new partition once it has a leader.
void Reign::to_new(const Replicas& replicas) {
  for (const ReplicaRef& replica : replicas) {
    CHECK(context_.state_of(replica) == ReplicaState::non_existent);
    context_.state_of(replica) = ReplicaState::new_replica;
  }
}

void Reign::to_online(const Replicas& replicas) {
  for (const ReplicaRef& replica : replicas) {
    ReplicaState& state = context_.state_of(replica);
    // Of a new one it was told when the partition came online, and of one whose leader came back it
    // is told when that is.
    const ZkPartition& partition = replica.partition.get();
    const bool stands = partition.has_state() && !partition.leader_came_back;
    if (state != ReplicaState::new_replica && stands) {
      batch_.add_leader_and_isr(replica.broker, replica.partition, false);
    }
    state = ReplicaState::online;
  }
  send_batch();
}

Task<Result<void>> Reign::to_offline(Replicas replicas) {
  if (replicas.empty()) co_return Result<void>{};
  Replicas led;
  for (const ReplicaRef& replica : replicas) {
    batch_.add_stop_replica(replica.broker, replica.partition, false);
    if (replica.partition.get().has_state()) {
      led.push_back(replica);
    } else {
      batch_.add_update_metadata(replica.partition);
    }
  }
  CO_TRY_VOID(co_await remove_from_isrs(std::move(led)));
  set_states(replicas, ReplicaState::offline);
  batch_.add_update_metadata(context_.live_brokers());
  send_batch();
  co_return Result<void>{};
}

namespace {

// The last member stays: it is where all committed records are.
StateValue without_members(const Partition& before, const std::set<NodeId>& gone,
                           std::int32_t controller_epoch) {
  StateValue after;
  after.controller_epoch = controller_epoch;
  after.leader = gone.contains(before.leader) ? no_node : before.leader;
  after.leader_epoch = before.leader_epoch.next();
  after.recovering = before.recovering;
  for (const NodeId node : before.isr) {
    if (!gone.contains(node)) after.isr.push_back(node);
  }
  if (after.isr.empty()) after.isr.push_back(before.isr.front());
  return after;
}

}  // namespace

// Reads each state anew, and writes it when there is something to change. The other replicas hear
// of the partition.
Task<Result<void>> Reign::remove_from_isrs(Replicas replicas) {
  std::map<PartitionRef, std::set<NodeId>> gone;
  for (const ReplicaRef& replica : replicas) gone[replica.partition].insert(replica.broker);
  Partitions partitions;
  for (const auto& [ref, nodes] : gone) partitions.push_back(ref);
  Partitions done;
  while (!partitions.empty()) {
    CO_TRY_VOID(co_await read_states(partitions));
    Partitions changing;
    std::vector<StateValue> states;
    for (const PartitionRef ref : partitions) {
      const Partition before = context_.partition_of(ref);
      const std::set<NodeId>& nodes = gone[ref];
      const bool is_member =
          !before.isr.empty() && std::any_of(before.isr.begin(), before.isr.end(),
                                             [&](NodeId node) { return nodes.contains(node); });
      const bool is_last = before.isr.size() == 1 && !nodes.contains(before.leader);
      if (!is_member || is_last) {
        done.push_back(ref);
        continue;
      }
      changing.push_back(ref);
      states.push_back(without_members(before, nodes, office_.epoch));
    }
    Partitions outdated;
    CO_TRY_VOID(co_await write_states(changing, std::move(states), done, outdated));
    partitions = std::move(outdated);
  }
  for (const PartitionRef ref : done) {
    batch_.add_update_metadata(ref);
    // Of one whose leader came back and whose state stands as it was, they hear when it is elected.
    if (ref.topic->to_be_deleted || ref.get().leader_came_back) continue;
    for (const NodeId node : context_.replicas(ref.get())) {
      if (!gone[ref].contains(node) && context_.is_live(node)) {
        batch_.add_leader_and_isr(node, ref, false);
      }
    }
  }
  co_return Result<void>{};
}

void Reign::to_deletion_started(const Replicas& replicas) {
  for (const ReplicaRef& replica : replicas) {
    CHECK(context_.state_of(replica) == ReplicaState::offline);
    context_.state_of(replica) = ReplicaState::deletion_started;
    batch_.add_stop_replica(replica.broker, replica.partition, true);
  }
  send_batch();
}

}  // namespace qlab::controller
