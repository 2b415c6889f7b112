#pragma once
// Moving a partition to other brokers: pure rules that both controllers share.
//
// While it moves, a partition's replicas are the wanted ones and, behind them, those that are to
// go. It has moved once all that were added are in the ISR.
//
// Source: KIP-455; Kafka's PartitionReassignmentReplicas and PartitionReassignmentRevert.

#include <tl/expected.hpp>

#include "controller/election.h"
#include "controller/topic_rules.h"

namespace qlab::controller {

using Reassigned = tl::expected<Partition, Refusal>;

// Begins to move a partition to `target`, also from the middle of another move; a target that takes
// nobody new is reached at once.
// Errors: invalid_replica_assignment, for no broker, one named twice or one that is not known.
Reassigned reassigned(Partition partition, const std::vector<NodeId>& target, const Eligible& known,
                      const ElectionRules& rules);

// Goes back to the replicas of before. Errors: no_reassignment_in_progress;
// invalid_replica_assignment, when nobody in sync would be left.
Reassigned cancelled(Partition partition, const ElectionRules& rules);

// The partition after its move, if that is complete; else as it is.
Partition completed(Partition partition, const ElectionRules& rules);

}  // namespace qlab::controller
