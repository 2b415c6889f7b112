#pragma once
// What the cluster has decided about one partition.

#include <optional>
#include <vector>

#include "common/ids.h"
#include "metadata/entry.h"

namespace qlab::metadata {

struct Partition {
  std::vector<NodeId> replicas;  // In order of preference; never empty.
  std::vector<NodeId> isr;       // Subset of replicas; never empty.
  NodeId leader = no_node;       // Member of isr, or no_node.
  LeaderEpoch leader_epoch;
  std::int32_t partition_epoch = 0;
  // Left the ISR when that was too small for the high watermark to move, so they have all that is
  // committed (KIP-966); disjoint from isr, empty while the ISR is large enough.
  std::vector<NodeId> elr = {};
  std::vector<NodeId> adding = {};     // Subset of replicas, during a reassignment (KIP-455).
  std::vector<NodeId> removing = {};   // Likewise.
  NodeId last_known_leader = no_node;  // While there is no leader: who led last.
  bool recovering = false;  // The leader was elected uncleanly and has not said yet that it knows.

  bool is_reassigning() const { return !adding.empty() || !removing.empty(); }
  bool operator==(const Partition&) const = default;
};

// The record that makes a partition, or tells of it in an image.
PartitionRecord record_of(TopicId topic, PartitionIndex index, const Partition& partition);
Partition partition_of(const PartitionRecord& record);

// The record that makes `after` of `before`; nothing when they do not differ but for their epochs,
// which a change raises by itself: the partition's always, the leader's when there is another
// leader or fewer replicas (a removed replica's fetches are to be refused).
std::optional<PartitionChangeRecord> change_between(TopicId topic, PartitionIndex index,
                                                    const Partition& before,
                                                    const Partition& after);
// What a change makes of a partition. Requires: it is a partition after it, CHECKed.
Partition changed(Partition before, const PartitionChangeRecord& change);

}  // namespace qlab::metadata
