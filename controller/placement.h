#pragma once
// Where the replicas of a new topic go: Kafka's round robin over brokers, without racks.
//
// Source: KIP-36 without racks; AdminUtils. Partition p's preferred replica is broker (start + p);
// followers are shifted by a step that grows each time the brokers have been gone through, so that
// one broker's load spreads over all others.

#include <vector>

#include "common/ids.h"
#include "common/result.h"

namespace qlab::controller {

struct PlacementRequest {
  std::vector<NodeId> brokers;  // Eligible ones, sorted.
  std::int32_t partitions = 1;
  std::int16_t replication_factor = 1;
  std::uint64_t start =
      0;  // Where the round robin begins; drawn, so that topics do not all begin at one broker.
};

// Errors: invalid, when the replication factor is not in [1, brokers] or partitions < 1.
Result<void> check_placement(const PlacementRequest& request);

// The replicas of one partition, preferred one first. Requires: the request passes the check.
std::vector<NodeId> place_partition(const PlacementRequest& request, std::uint64_t partition);

// Replicas per partition, preferred one first.
// Errors: those of the check.
Result<std::vector<std::vector<NodeId>>> place(const PlacementRequest& request);

}  // namespace qlab::controller
