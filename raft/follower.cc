// Following: log matching, conflicts, commit. Source: Raft 5.3; dissertation 10.2.1.
#include "raft/raft.h"

namespace qlab::raft {

using consensus::Entry;
using consensus::LogId;

void Raft::follow(NodeId leader) {
  if (role_ != Role::follower) become_follower(hard_state_.epoch, leader);
  set_leader(leader);
  leader_heard_ = now_;
  leader_suspected_ = false;
  reset_election_deadline();
}

void Raft::handle(NodeId from, Epoch epoch, const AppendRequest& request) {
  // Nobody but us leads in an epoch that a majority gave to us.
  if (role_ == Role::leader) return trace("DropAppendEntriesRequest", from, "we_lead");
  follow(from);
  const auto here = log_.epoch_of(request.previous.index);
  if (!here && request.previous.index < commit_) {  // Old, and compacted away since.
    return send(from, epoch, AppendReply{true, commit_, {}, {}, self_.directory, is_bare()},
                all_writes());
  }
  if (here != request.previous.epoch) {
    return send(from, epoch, refuse(request.previous), all_writes());
  }
  const LogIndex match = accept_entries(request);
  // Never beyond what matched: behind it there may be entries of another leader.
  advance_commit(std::min(request.commit, match));
  send(from, epoch, AppendReply{true, match, {}, {}, self_.directory, is_bare()}, all_writes());
}

void Raft::handle(NodeId from, Epoch epoch, const Heartbeat& heartbeat) {
  if (role_ == Role::leader) return trace("DropAppendEntriesRequest", from, "we_lead");
  follow(from);
  advance_commit(std::min(heartbeat.commit, log_.last().index));
  if (heartbeat.round != 0)
    send(from, epoch, HeartbeatReply{heartbeat.round, self_.directory}, hard_seq_);
}

// Appends what is new, after cutting what conflicts. Returns the last index known to match.
LogIndex Raft::accept_entries(const AppendRequest& request) {
  auto entry = request.entries.begin();
  while (entry != request.entries.end() && log_.epoch_of(entry->id.index) == entry->id.epoch) {
    ++entry;
  }
  if (entry != request.entries.end()) {
    if (entry->id.index <= log_.last().index) {
      trace("ConflictAppendEntriesRequest", *leader_);
      truncate(entry->id.index);
    }
    append({entry, request.entries.end()});
  }
  return request.entries.empty() ? request.previous.index : request.entries.back().id.index;
}

// Names the last entry that may match: in an epoch not after the one asked for, and before it. So
// one round trip skips an epoch instead of an entry (dissertation 3.5, "conflict").
AppendReply Raft::refuse(LogId previous) const {
  LogId hint = log_.end_of_epoch(previous.epoch);
  if (hint.index >= previous.index && previous.index > LogIndex{0}) {
    hint.index = previous.index.prev();
    hint.epoch = log_.epoch_of(hint.index).value_or(Epoch{0});
  }
  return AppendReply{false, {}, previous.index, hint, self_.directory, is_bare()};
}

}  // namespace qlab::raft
