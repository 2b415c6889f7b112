// Leading: proposals, replication, commit, heartbeats, check-quorum.
// Source: Raft 5.3, 5.4.2; dissertation 6.2, 10.2.1.
#include "common/check.h"
#include "raft/raft.h"

namespace qlab::raft {

using consensus::Entry;
using consensus::EntryKind;
using consensus::Fate;
using consensus::LogId;
using consensus::WriteSeq;

void Raft::answer(consensus::RequestId request, Fate fate, LogId at) {
  emit(out::Outcome{request, fate, at, fate == Fate::rejected ? leader_ : std::nullopt});
}

void Raft::on(const in::Propose& input) {
  CHECK(!input.bodies.empty());
  const Epoch epoch = hard_state_.epoch;
  if (role_ != Role::leader || input.expect_epoch.value_or(epoch) != epoch) {
    return answer(input.request, Fate::rejected);
  }
  Leadership& lead = *leadership_;
  std::uint64_t bytes = 0;
  for (const auto& body : input.bodies) bytes += body->size();
  if (lead.uncommitted_bytes > 0 &&
      lead.uncommitted_bytes + bytes > tuning_.uncommitted_bytes_max) {
    return answer(input.request, Fate::overloaded);
  }
  std::vector<Entry> entries;
  LogIndex next = log_.last().index;
  for (const auto& body : input.bodies) {
    next = next.next();
    entries.push_back(Entry{{epoch, next}, EntryKind::data, body});
  }
  lead.uncommitted_bytes += bytes;
  lead.proposals.push_back({input.request, entries.front().id, entries.back().id, bytes});
  append(std::move(entries));
  replicate_to_all();  // In parallel with our own write (dissertation 10.2.1).
}

// A link to a peer came up: find out what it has.
void Raft::lead_peer(NodeId peer) {
  if (peer == self_.id) return;
  const auto [at, added] =
      leadership_->peers.try_emplace(peer, is_voter(peer), log_.last().index.next(), now_);
  if (!added) at->second.restart();
  replicate(peer, true);
}

// Sends what the peer lacks, as far as its window allows; `even_empty`: at least one append, which
// asks the peer whether it still follows.
void Raft::replicate(NodeId peer, bool even_empty) {
  if (!links_.contains(peer)) return;
  Progress& progress = leadership_->peers.at(peer);
  const LogIndex last = log_.last().index;
  while (true) {
    const bool paused = progress.is_paused(tuning_.inflight_messages_max);
    if (paused && (!even_empty || progress.phase() == Progress::Phase::probe)) return;
    const bool nothing = paused || progress.next() > last;
    if (nothing && !even_empty) return;
    even_empty = false;
    AppendRequest request;
    request.previous = {log_.epoch_of(progress.next().prev()).value(), progress.next().prev()};
    request.commit = commit_;
    if (!nothing) request.entries = log_.read(progress.next(), tuning_.batch_bytes_max);
    const LogIndex end =
        request.entries.empty() ? request.previous.index : request.entries.back().id.index;
    send(peer, hard_state_.epoch, request, WriteSeq{0});
    progress.sent_up_to(end);
    progress.commit_sent(std::min(commit_, end));
  }
}

void Raft::replicate_to_all() {
  for (const auto& [peer, progress] : leadership_->peers) replicate(peer, false);
}

// What a peer has acknowledged is committed: it may apply it without waiting for the next append.
void Raft::tell_commit(NodeId peer, Progress& progress) {
  const LogIndex known = std::min(progress.match(), commit_);
  if (known <= progress.commit_told()) return;
  send(peer, hard_state_.epoch, Heartbeat{known, 0}, WriteSeq{0});
  progress.commit_sent(known);
}

void Raft::send_heartbeats() {
  Leadership& lead = *leadership_;
  ++lead.round;
  for (auto& [peer, progress] : lead.peers) {
    const LogIndex known = std::min(progress.match(), commit_);
    send(peer, hard_state_.epoch, Heartbeat{known, lead.round}, WriteSeq{0});
    progress.commit_sent(known);
  }
}

// An entry is committed when a majority has it durably and it is of our own epoch; earlier ones are
// committed with it, never by counting (Raft 5.4.2, figure 8).
void Raft::advance_leader_commit() {
  Leadership& lead = *leadership_;
  std::vector<LogIndex> stored;
  for (const NodeId voter : voters_) {
    stored.push_back(voter == self_.id ? durable_ : lead.peers.at(voter).match());
  }
  const LogIndex index = reached_by_majority(std::move(stored));
  if (index <= commit_ || log_.epoch_of(index) != hard_state_.epoch) return;
  advance_commit(index);
  if (!lead.activated && commit_ >= lead.epoch_start) {
    lead.activated = true;
    trace("AdvanceCommitIndex");
    emit(out::Activate{hard_state_.epoch, lead.epoch_start});
  }
  while (!lead.proposals.empty() && lead.proposals.front().last.index <= commit_) {
    lead.uncommitted_bytes -= lead.proposals.front().bytes;
    answer(lead.proposals.front().request, Fate::committed, lead.proposals.front().last);
    lead.proposals.pop_front();
  }
  for (auto& [peer, progress] : lead.peers) tell_commit(peer, progress);
}

// Since when a majority, ourselves among it, has been heard of.
Time Raft::quorum_contact() const {
  std::vector<Time> heard;
  for (const NodeId voter : voters_) {
    heard.push_back(voter == self_.id ? now_ : leadership_->peers.at(voter).heard());
  }
  return reached_by_majority(std::move(heard));
}

void Raft::on_leader_timer() {
  // A leader that a majority has not answered for an election timeout may have been replaced; its
  // clients should look elsewhere (dissertation 6.2).
  if (tuning_.check_quorum && now_ - quorum_contact() >= tuning_.election_timeout) {
    return give_up_leadership("check_quorum");
  }
  if (now_ < leadership_->heartbeat_due) return;
  leadership_->heartbeat_due = now_ + tuning_.heartbeat_interval;
  send_heartbeats();
}

void Raft::give_up_leadership(std::string_view reason) {
  trace("StepDown", no_node, reason);
  become_follower(hard_state_.epoch, std::nullopt);
}

void Raft::end_leadership() {
  if (leadership_->activated) emit(out::Deactivate{hard_state_.epoch});
  for (const PendingRead& read : leadership_->reads) {
    emit(out::Outcome{read.request, Fate::rejected, {}, std::nullopt});
  }
  for (const Proposal& proposal : leadership_->proposals) doubtful_.push_back(proposal);
  if (!doubtful_.empty()) doubtful_deadline_ = now_ + tuning_.election_timeout;
  leadership_.reset();
}

void Raft::handle(NodeId from, Epoch, const AppendReply& reply) {
  if (role_ != Role::leader || !leadership_->peers.contains(from)) return;
  Progress& progress = leadership_->peers.at(from);
  if (reply.match > log_.last().index) return trace("DropAppendEntriesResponse", from);
  progress.heard_at(now_);
  if (reply.accepted) {
    progress.accepted(reply.match);
    advance_leader_commit();
    tell_commit(from, progress);
  } else {
    // Where the peer's last candidate lies in our log: the end of its epoch here, or before.
    const LogIndex ours = log_.end_of_epoch(reply.hint.epoch).index;
    if (!progress.refused(reply.rejected, std::min(ours, reply.hint.index))) return;
  }
  replicate(from, false);
}

void Raft::handle(NodeId from, Epoch, const HeartbeatReply& reply) {
  if (role_ != Role::leader || !leadership_->peers.contains(from)) return;
  Progress& progress = leadership_->peers.at(from);
  progress.heard_at(now_);
  progress.acknowledge_round(std::min(reply.round, leadership_->round));
  serve_reads();
  // Still behind: what was sent may be lost (where links do not keep what they take).
  progress.allow_probe();
  if (progress.match() < log_.last().index) replicate(from, true);
}

}  // namespace qlab::raft
