// What a leader sends to each peer. Source: Raft 5.3; dissertation 10.2.1.
#include "common/check.h"
#include "consensus/quorum.h"
#include "raft/raft.h"

namespace qlab::raft {

using consensus::Entry;
using consensus::LogId;
using consensus::WriteSeq;

namespace {
constexpr std::size_t rounds_max = 64;  // Unanswered; of older ones a lease does not begin.
}  // namespace

// The peer that answers us as its leader; null when it is none, or has another disk than before.
Progress* Raft::answers_to(NodeId from, DirectoryId directory) {
  if (role_ != Role::leader || !leadership_->peers.contains(from)) return nullptr;
  Progress& progress = leadership_->peers.at(from);
  if (progress.heard_from(directory, log_.last().index.next(), now_)) return &progress;
  trace("AnotherReplica", from);
  replicate(from, true);
  return nullptr;
}

// A link to a peer came up: find out what it has.
void Raft::lead_peer(NodeId peer) {
  if (peer == self_.id) return;
  const auto [at, added] = leadership_->peers.try_emplace(peer, log_.last().index.next(), now_);
  if (!added) at->second.restart();
  replicate(peer, true);
}

// Sends what the peer lacks, as far as its window allows; `even_empty`: at least one append, which
// asks the peer whether it still follows.
void Raft::replicate(NodeId peer, bool even_empty) {
  if (!links_.contains(peer)) return;
  Progress& progress = leadership_->peers.at(peer);
  const bool witness = is_witness(peer);
  const LogIndex end = witness ? witness_limit() : log_.last().index;
  while (progress.phase() != Progress::Phase::snapshot) {
    const bool paused = progress.is_paused(tuning_);
    if (paused && (!even_empty || progress.phase() == Progress::Phase::probe)) return;
    const bool nothing = paused || progress.next() > end;
    if (nothing && !even_empty) return;
    even_empty = false;
    const LogIndex before = progress.next().prev();
    const auto epoch = log_.epoch_of(before);
    if (!epoch) return offer_snapshot(peer);
    AppendRequest request{{*epoch, before}, commit_, {}};
    if (!nothing) {
      request.entries =
          log_.read(progress.next(), std::min(tuning_.batch_bytes_max, progress.room(tuning_)));
      if (witness) strip(peer, request.entries);
    }
    std::size_t bytes = 0;
    for (const Entry& entry : request.entries) bytes += entry.body->size();
    const LogIndex last = request.entries.empty() ? before : request.entries.back().id.index;
    send(peer, hard_state_.epoch, request, WriteSeq{0});
    progress.sent_up_to(last, bytes, now_);
    progress.commit_sent(std::min(commit_, last));
  }
}

void Raft::replicate_to_all() {
  for (const auto& [peer, progress] : leadership_->peers) replicate(peer, false);
}

// What a peer has acknowledged is committed: it may apply it without waiting for the next append.
void Raft::tell_commit(NodeId peer, Progress& progress) {
  const LogIndex known = std::min(progress.confirmed(), commit_);
  if (known <= progress.commit_told()) return;
  send(peer, hard_state_.epoch, Heartbeat{known, 0}, WriteSeq{0});
  progress.commit_sent(known);
}

void Raft::send_heartbeats() {
  Leadership& lead = *leadership_;
  ++lead.round;
  lead.rounds.emplace_back(lead.round, now_);
  if (lead.rounds.size() > rounds_max) lead.rounds.pop_front();
  for (auto& [peer, progress] : lead.peers) {
    const LogIndex known = std::min(progress.confirmed(), commit_);
    send(peer, hard_state_.epoch, Heartbeat{known, lead.round}, WriteSeq{0});
    progress.commit_sent(known);
  }
}

}  // namespace qlab::raft
