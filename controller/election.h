#pragma once
// Who leads a partition, and who is in sync, when brokers come and go: pure rules, from a partition
// to what it becomes, that both controllers share.
//
// An ISR is never emptied: its last member stays as the one place where all committed records are,
// even while it is away. Who leaves an ISR that is too small for the high watermark to move (below
// min.insync.replicas) has all that is committed as well, and stays eligible to lead: the ELR.
//
// Source: Kafka's PartitionChangeBuilder, KIP-841, KIP-966 part 1, KIP-704.

#include <functional>
#include <optional>
#include <vector>

#include "metadata/image.h"

namespace qlab::controller {

using metadata::Partition;

// May `broker` lead and be counted as in sync?
using Eligible = std::function<bool(NodeId broker)>;

struct ElectionRules {
  Eligible eligible;
  std::size_t min_insync = 1;  // min.insync.replicas; more than there are replicas is all of them.
  bool unclean = false;        // unclean.leader.election.enable: rather lose records than wait.
};

// The first eligible member of `candidates` in the order of `replicas`; no_node when there is none.
NodeId elect(const std::vector<NodeId>& replicas, const std::vector<NodeId>& candidates,
             const Eligible& eligible);

// Gives a partition a leader if it has none that is eligible: from the ISR, else from the ELR, else
// (unclean) whoever led last or any replica, and then it has to recover. no_node when nobody may.
Partition with_leader(Partition partition, const ElectionRules& rules);

// What becomes of it when `gone` may no longer be in sync nor lead.
Partition without(Partition partition, NodeId gone, const ElectionRules& rules);

// The same when `gone` came back as another process: what it still has of its log is not known, so
// it is not in the ELR either.
Partition without_log_of(Partition partition, NodeId gone, const ElectionRules& rules);

// What becomes of it by its leader's word about who is in sync, which also says that the leader has
// recovered. A reassignment that this completes is completed (reassignment.h).
// Requires: `isr` has the leader in it and is within the replicas.
Partition with_isr(Partition partition, std::vector<NodeId> isr, const ElectionRules& rules);

// What becomes of it when `leader`, who leads its consensus group, says so and who is in sync.
// Requires: `isr` has the leader in it and is within the replicas.
Partition with_claim(Partition partition, NodeId leader, std::vector<NodeId> isr,
                     const ElectionRules& rules);

// The partition led by its first replica; nothing when that one is not in the ISR and eligible, or
// leads already.
std::optional<Partition> with_preferred_leader(Partition partition, const ElectionRules& rules);

}  // namespace qlab::controller
