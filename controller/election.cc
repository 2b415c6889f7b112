#include "controller/election.h"

#include <algorithm>

#include "controller/reassignment.h"

namespace qlab::controller {
namespace {

bool contains(const std::vector<NodeId>& nodes, NodeId node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

std::size_t min_insync_of(const Partition& partition, const ElectionRules& rules) {
  return std::min(rules.min_insync, partition.replicas.size());
}

// Whoever has just left the ISR while it is too small is in the ELR; a large one needs none.
void keep_elr(Partition& partition, const std::vector<NodeId>& isr_before,
              const ElectionRules& rules) {
  if (partition.isr.size() >= min_insync_of(partition, rules)) {
    partition.elr.clear();
    return;
  }
  for (NodeId node : isr_before) {
    if (!contains(partition.elr, node)) partition.elr.push_back(node);
  }
  std::erase_if(partition.elr, [&](NodeId node) { return contains(partition.isr, node); });
  std::sort(partition.elr.begin(), partition.elr.end());
}

NodeId elect_uncleanly(const Partition& partition, const Eligible& eligible) {
  const NodeId last = partition.last_known_leader;
  if (contains(partition.replicas, last) && eligible(last)) return last;
  return elect(partition.replicas, partition.replicas, eligible);
}

void lead(Partition& partition, NodeId leader) {
  partition.leader = leader;
  partition.last_known_leader = no_node;
}

}  // namespace

NodeId elect(const std::vector<NodeId>& replicas, const std::vector<NodeId>& candidates,
             const Eligible& eligible) {
  for (NodeId replica : replicas) {
    if (contains(candidates, replica) && eligible(replica)) return replica;
  }
  return no_node;
}

Partition with_leader(Partition partition, const ElectionRules& rules) {
  const NodeId leader = partition.leader;
  if (contains(partition.isr, leader) && rules.eligible(leader)) return partition;

  if (const NodeId next = elect(partition.replicas, partition.isr, rules.eligible);
      next != no_node) {
    lead(partition, next);
    return partition;
  }
  if (const NodeId next = elect(partition.replicas, partition.elr, rules.eligible);
      next != no_node) {
    const std::vector<NodeId> isr_before = std::exchange(partition.isr, {next});
    keep_elr(partition, isr_before, rules);
    lead(partition, next);
    return partition;
  }
  const NodeId next = rules.unclean ? elect_uncleanly(partition, rules.eligible) : no_node;
  if (next != no_node) {
    partition.isr = {next};
    partition.elr.clear();  // What they have and the new leader lacks is lost.
    partition.recovering = true;
    lead(partition, next);
    return partition;
  }
  if (leader != no_node) partition.last_known_leader = leader;
  partition.leader = no_node;
  return partition;
}

Partition without(Partition partition, NodeId gone, const ElectionRules& rules) {
  if (contains(partition.isr, gone) && partition.isr.size() > 1) {
    const std::vector<NodeId> isr_before = partition.isr;
    std::erase(partition.isr, gone);
    keep_elr(partition, isr_before, rules);
  }
  ElectionRules others = rules;
  others.eligible = [&](NodeId node) { return node != gone && rules.eligible(node); };
  if (partition.leader == gone) return with_leader(std::move(partition), others);
  return partition;
}

Partition without_log_of(Partition partition, NodeId gone, const ElectionRules& rules) {
  partition = without(std::move(partition), gone, rules);
  std::erase(partition.elr, gone);
  return partition;
}

Partition with_isr(Partition partition, std::vector<NodeId> isr, const ElectionRules& rules) {
  const std::vector<NodeId> isr_before = std::exchange(partition.isr, std::move(isr));
  keep_elr(partition, isr_before, rules);
  partition.recovering = false;
  return completed(std::move(partition), rules);
}

Partition with_claim(Partition partition, NodeId leader, std::vector<NodeId> isr,
                     const ElectionRules& rules) {
  lead(partition, leader);
  return with_isr(std::move(partition), std::move(isr), rules);
}

std::optional<Partition> with_preferred_leader(Partition partition, const ElectionRules& rules) {
  const NodeId preferred = partition.replicas.front();
  if (partition.leader == preferred) return std::nullopt;
  if (!contains(partition.isr, preferred) || !rules.eligible(preferred)) return std::nullopt;
  lead(partition, preferred);
  return partition;
}

}  // namespace qlab::controller
