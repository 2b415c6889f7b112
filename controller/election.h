#pragma once
// Who leads a partition, and who is in sync, when brokers come and go: pure rules that both
// controllers share.
//
// Source: Kafka's PartitionChangeBuilder and KIP-841. An ISR is never emptied: its last member
// stays as the one place where all committed records are, even while it is away.

#include <functional>
#include <optional>
#include <vector>

#include "metadata/image.h"

namespace qlab::controller {

// May `broker` lead and be counted as in sync?
using Eligible = std::function<bool(NodeId broker)>;

struct PartitionPlan {
  std::optional<std::vector<NodeId>> isr;  // Nothing: unchanged.
  std::optional<NodeId> leader;            // Nothing: unchanged; no_node: nobody can lead.
};

// What to change when `gone` may no longer be in sync: it leaves the ISR, unless it is its last
// member, and leads no more. Nothing when the partition is not concerned.
std::optional<PartitionPlan> plan_removal(const metadata::Partition& partition, NodeId gone,
                                          const Eligible& eligible);

// What to change when a broker has become eligible: a partition without a leader gets one from its
// ISR.
std::optional<PartitionPlan> plan_arrival(const metadata::Partition& partition,
                                          const Eligible& eligible);

// The first eligible member of `isr` in the order of `replicas`; no_node when there is none.
NodeId elect(const std::vector<NodeId>& replicas, const std::vector<NodeId>& isr,
             const Eligible& eligible);

}  // namespace qlab::controller
