#pragma once
// When enough members agree. Pure; quorum_test.cc compares it with a naive twin.
//
// Source: majorities, Raft 5.2 and 5.3; both halves of a joint configuration, Raft 6; quorums of
// other sizes, Howard et al., "Flexible Paxos" (2016); weights in groups, ZooKeeper's
// QuorumHierarchical.

#include <functional>
#include <set>

#include "consensus/types.h"

namespace qlab::consensus {

enum class QuorumUse : std::uint8_t { elect, commit };

// True for those that vote and acknowledge: voters and witnesses.
bool counts(const Member& member);
// The member of that id in either half; null when there is none. `members` goes before `outgoing`.
const Member* find_member(const Config& config, NodeId id);
// The ids that count, of both halves.
std::set<NodeId> voters_of(const Config& config);

// Whether those that `agrees` says yes to are a quorum: in both halves of a joint configuration.
bool is_quorum(const Config& config, QuorumUse use, const std::function<bool(NodeId)>& agrees);

// Whether a quorum can still be reached when those that `refuses` says yes to never agree.
bool is_quorum_possible(const Config& config, QuorumUse use,
                        const std::function<bool(NodeId)>& refuses);

// The largest value that a quorum has reached: of match indexes what is stored on one, of contact
// times since when one was heard. `least` when no quorum has reached any.
template <class T>
T reached_by_quorum(const Config& config, QuorumUse use, T least,
                    const std::function<T(NodeId)>& value_of) {
  T reached = least;
  for (const NodeId id : voters_of(config)) {
    const T candidate = value_of(id);
    if (candidate <= reached) continue;
    if (is_quorum(config, use, [&](NodeId other) { return value_of(other) >= candidate; })) {
      reached = candidate;
    }
  }
  return reached;
}

}  // namespace qlab::consensus
