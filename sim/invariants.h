#pragma once
// What must hold in every run, whatever fails: small functions from a history to what is wrong with
// it, which is nothing. Each judges what is fresh, so that all of them can run after every step.

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "sim/history.h"

namespace qlab::sim {

using Finding = std::optional<std::string>;

// At most one node ever leads an epoch. Source: Raft 5.2, Election Safety.
Finding one_leader_per_epoch(const History& history);
// Two logs with an entry of the same epoch and index are equal up to it. Source: Raft 5.3, Log
// Matching; it holds for all logs that ever were.
Finding logs_match(const History& history);
// Who leads has every entry committed in an earlier epoch. Source: Raft 5.4, Leader Completeness.
Finding leaders_have_all_committed_entries(const History& history);
// No two nodes apply different entries at an index, and none skips one. Source: Raft 5.4.3, State
// Machine Safety.
Finding state_machines_agree(const History& history);
// A node's commit index never goes back while it lives.
Finding commit_only_grows(const History& history);
// What anybody applied is durable in the logs of a quorum of the configuration in which it was
// committed: of both halves of a joint one, witnesses among it.
Finding committed_entries_are_durable_on_a_quorum(const History& history);
// A primary is active only when the past it builds on is committed, and in epochs that it leads.
Finding primaries_begin_with_the_past_committed(const History& history);
// A committed proposal stands where its proposer was told, for good.
Finding acknowledged_proposals_stay(const History& history);
// A proposal that was rejected, superseded or turned away as too much is in no state machine.
Finding refused_proposals_never_happen(const History& history);
// An append stands behind all that any client had seen when it was proposed, and a read shows all
// of it, and just the state of the entry it was served at: the register is linearizable. In a log
// an operation's place is its index, so that this takes one comparison each.
Finding operations_are_linearizable(const History& history);
// An image restores the state that all have at its last entry.
Finding images_are_of_the_committed_state(const History& history);
// A replica comes up with all that was durable, and with a prefix of its later writes.
Finding crashes_leave_a_prefix_of_the_writes(const History& history);
// A replica that had no disk fault comes up and goes on, and is sent images of what is committed.
Finding replicas_come_up(const History& history);

struct Invariant {
  std::string_view name;
  Finding (*check)(const History& history);
};
std::span<const Invariant> invariants();

// Checks all of them, then moves what is fresh to what is known. The first finding with its name.
Finding judge(History& history);

}  // namespace qlab::sim
