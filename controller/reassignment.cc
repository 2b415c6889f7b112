#include "controller/reassignment.h"

#include <algorithm>
#include <set>

namespace qlab::controller {
namespace {

bool contains(const std::vector<NodeId>& nodes, NodeId node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

// Those of `nodes`, in their order, that are (not) in `others`.
std::vector<NodeId> within(const std::vector<NodeId>& nodes, const std::vector<NodeId>& others) {
  std::vector<NodeId> result = nodes;
  std::erase_if(result, [&](NodeId node) { return !contains(others, node); });
  return result;
}
std::vector<NodeId> outside(const std::vector<NodeId>& nodes, const std::vector<NodeId>& others) {
  std::vector<NodeId> result = nodes;
  std::erase_if(result, [&](NodeId node) { return contains(others, node); });
  return result;
}

tl::unexpected<Refusal> refuse(wire::KafkaError error, std::string words) {
  return tl::unexpected(Refusal{error, std::move(words)});
}

// Keeps `replicas` alone, and what is said of them. Requires: one of them is in the ISR.
Partition kept(Partition partition, std::vector<NodeId> replicas, const ElectionRules& rules) {
  partition.isr = within(partition.isr, replicas);
  partition.elr = within(partition.elr, replicas);
  partition.replicas = std::move(replicas);
  partition.adding.clear();
  partition.removing.clear();
  if (partition.leader == no_node || contains(partition.replicas, partition.leader)) {
    return partition;
  }
  return with_leader(std::move(partition), rules);
}

}  // namespace

Reassigned reassigned(Partition partition, const std::vector<NodeId>& target, const Eligible& known,
                      const ElectionRules& rules) {
  if (target.empty()) {
    return refuse(wire::KafkaError::invalid_replica_assignment, "no broker is named");
  }
  if (std::set<NodeId>(target.begin(), target.end()).size() != target.size()) {
    return refuse(wire::KafkaError::invalid_replica_assignment, "a broker is named twice");
  }
  for (NodeId node : target) {
    if (known(node)) continue;
    return refuse(wire::KafkaError::invalid_replica_assignment,
                  fmt::format("broker {} is unknown", node));
  }
  // Those that an earlier move was about to add are not worth keeping.
  const std::vector<NodeId> settled = outside(partition.replicas, partition.adding);
  partition.removing = outside(settled, target);
  partition.adding = outside(target, settled);
  partition.replicas = target;
  partition.replicas.insert(partition.replicas.end(), partition.removing.begin(),
                            partition.removing.end());
  partition.isr = within(partition.isr, partition.replicas);
  partition.elr = within(partition.elr, partition.replicas);
  if (partition.isr.empty()) {
    return refuse(wire::KafkaError::invalid_replica_assignment,
                  "none of the replicas would be in sync");
  }
  if (!contains(partition.isr, partition.leader)) {
    partition = with_leader(std::move(partition), rules);
  }
  return completed(std::move(partition), rules);
}

Reassigned cancelled(Partition partition, const ElectionRules& rules) {
  if (!partition.is_reassigning()) {
    return refuse(wire::KafkaError::no_reassignment_in_progress, "it is not being reassigned");
  }
  std::vector<NodeId> before = outside(partition.replicas, partition.adding);
  if (within(partition.isr, before).empty()) {
    return refuse(wire::KafkaError::invalid_replica_assignment,
                  "none of the replicas of before is in sync");
  }
  return kept(std::move(partition), std::move(before), rules);
}

Partition completed(Partition partition, const ElectionRules& rules) {
  if (!partition.is_reassigning()) return partition;
  std::vector<NodeId> target = outside(partition.replicas, partition.removing);
  const bool all_added = outside(partition.adding, partition.isr).empty();
  if (!all_added || within(partition.isr, target).empty()) return partition;
  return kept(std::move(partition), std::move(target), rules);
}

}  // namespace qlab::controller
