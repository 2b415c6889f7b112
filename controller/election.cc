#include "controller/election.h"

#include <algorithm>

namespace qlab::controller {
namespace {

bool contains(const std::vector<NodeId>& nodes, NodeId node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

}  // namespace

NodeId elect(const std::vector<NodeId>& replicas, const std::vector<NodeId>& isr,
             const Eligible& eligible) {
  for (NodeId candidate : replicas) {
    if (contains(isr, candidate) && eligible(candidate)) return candidate;
  }
  return no_node;
}

std::optional<PartitionPlan> plan_removal(const metadata::Partition& partition, NodeId gone,
                                          const Eligible& eligible) {
  const bool leads = partition.leader == gone;
  const bool in_sync = contains(partition.isr, gone);
  if (!leads && !in_sync) return std::nullopt;

  PartitionPlan plan;
  std::vector<NodeId> isr = partition.isr;
  if (in_sync && isr.size() > 1) {
    std::erase(isr, gone);
    plan.isr = isr;
  }
  if (leads) {
    plan.leader =
        elect(partition.replicas, isr, [&](NodeId node) { return node != gone && eligible(node); });
  }
  if (!plan.isr && !plan.leader) return std::nullopt;
  return plan;
}

std::optional<PartitionPlan> plan_arrival(const metadata::Partition& partition,
                                          const Eligible& eligible) {
  if (partition.leader != no_node) return std::nullopt;
  const NodeId leader = elect(partition.replicas, partition.isr, eligible);
  if (leader == no_node) return std::nullopt;
  PartitionPlan plan;
  plan.leader = leader;
  return plan;
}

}  // namespace qlab::controller
