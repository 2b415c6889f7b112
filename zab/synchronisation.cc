// Phase 2: a quorum gets the leader's history, durably, and only then service begins.
// Source: Zab, phase 2 (NEWLEADER, ACK-LD, COMMIT-LD); ZooKeeper's LearnerHandler.syncFollower and
// Learner.syncWithLeader.
#include "common/check.h"
#include "zab/zab.h"

namespace qlab::zab {

using consensus::Entry;
using consensus::LogId;

// Where the learner's log and ours part: its last entry, or the end here of its last epoch. Epochs
// begin alike in all logs that have them, so one question finds it.
void Zab::sync_learner(NodeId peer) {
  trace("SyncFollower", peer);
  const Learner& learner = leadership_->learners.at(peer);
  LogId common = learner.last;
  if (log_.epoch_of(common.index) != common.epoch) {
    common = log_.end_of_epoch(learner.last.epoch);
    const bool forgotten = common.index == LogIndex{0} && log_.first() > LogIndex{1};
    if (forgotten || common.index >= learner.last.index) return begin_snap(peer);
  }
  if (common.index < learner.last.index) {
    send(peer, leadership_->epoch, Trunc{learner.session, common});
  }
  begin_diff(peer, common);
}

// What is proposed from now on goes to the learner behind NEWLEADER; to an observer what was
// committed.
void Zab::begin_diff(NodeId peer, LogId common) {
  Learner& learner = leadership_->learners.at(peer);
  LogIndex end = log_.last().index;
  if (!configs_.is_voter(peer) && leadership_->phase == Phase::broadcast) {
    end = std::max(commit_, common.index);
  }
  learner.stage = Stage::diff;
  learner.next = common.index.next();
  learner.history_last = {*log_.epoch_of(end), end};
  feed(peer);
}

// Sends what the learner lacks, as far as its window allows.
void Zab::feed(NodeId peer) {
  if (!links_.contains(peer)) return;
  Learner& learner = leadership_->learners.at(peer);
  if (learner.stage < Stage::diff || learner.next < log_.first()) return;  // Cut, soon.
  if (learner.stage == Stage::diff) feed_history(peer, learner);
  if (learner.is_forwarded()) feed_broadcast(peer, learner);
}

void Zab::feed_history(NodeId peer, Learner& learner) {
  const LogIndex end = learner.history_last.index;
  while (learner.next <= end || !learner.diff_sent) {
    if (learner.window.is_full(tuning_.inflight_messages_max, tuning_.inflight_bytes_max)) return;
    Diff diff{learner.session, {*log_.epoch_of(learner.next.prev()), learner.next.prev()}, {}};
    std::uint64_t bytes = 0;
    if (learner.next <= end) diff.entries = log_.read(learner.next, tuning_.batch_bytes_max);
    while (!diff.entries.empty() && diff.entries.back().id.index > end) diff.entries.pop_back();
    for (const Entry& entry : diff.entries) bytes += entry.body->size();
    if (!diff.entries.empty()) {
      learner.next = diff.entries.back().id.index.next();
      learner.window.sent(learner.next.prev(), bytes);
    }
    learner.diff_sent = true;
    send(peer, leadership_->epoch, std::move(diff));
  }
  learner.stage = Stage::new_leader;
  send(peer, leadership_->epoch, NewLeader{learner.session, learner.history_last});
}

void Zab::handle(NodeId from, Epoch epoch, const AckNewLeader& ack) {
  Learner* learner = learner_of(from, ack.session, epoch);
  if (learner == nullptr) return;
  if (learner->stage != Stage::new_leader) return trace("DropAckNewLeader", from, "not_asked");
  trace("LeaderProcessACKLD", from);
  learner->stage = Stage::acknowledged;
  learner->match = std::max(learner->match, learner->history_last.index);
  learner->window.acknowledged(learner->match);
  begin_service_if_quorum();
  if (!leadership_ || leadership_->phase != Phase::broadcast) return;
  bring_up_to_date(from, leadership_->learners.at(from));
  advance_leader_commit();
}

// A quorum is in our epoch with our history, durably: no later leader can be without it.
void Zab::begin_service_if_quorum() {
  Leadership& lead = *leadership_;
  if (lead.phase != Phase::synchronisation || !has_synced_quorum()) return;
  lead.phase = Phase::broadcast;
  vote_.peer_epoch = lead.epoch;
  trace("LeaderActivate");
  set_leader(lead.epoch, self_.id);
  advance_commit(lead.history.index);
  emit(out::Activate{lead.epoch, lead.history.index});
  for (auto& [peer, learner] : lead.learners) bring_up_to_date(peer, learner);
  for (const auto& [peer, link] : links_) {
    if (!lead.learners.contains(peer)) notify(peer);
  }
  advance_change();  // One that an earlier leader began.
}

void Zab::bring_up_to_date(NodeId peer, Learner& learner) {
  if (learner.stage != Stage::acknowledged) return;
  learner.stage = Stage::up_to_date;
  learner.told = std::min(commit_, learner.next.prev());
  send(peer, leadership_->epoch, UpToDate{learner.session, learner.told});
}

// A log that cannot be cut where the leader says is not the log that it should be. To go on would
// split the history (ZOOKEEPER-3701).
void Zab::handle(NodeId from, Epoch epoch, const Trunc& trunc) {
  const Session* session = session_with(from, trunc.session, epoch);
  if (session == nullptr) return;
  if (session->is_acknowledged) return trace("DropTrunc", from, "after_new_leader");
  if (log_.epoch_of(trunc.to.index) != trunc.to.epoch || trunc.to.index < commit_) {
    trace("FollowerProcessTRUNC", from, "impossible");
    return halt("the leader has the log cut at an entry that it does not have");
  }
  trace("FollowerProcessTRUNC", from);
  if (trunc.to.index < log_.last().index) truncate(trunc.to.index.next());
}

// Appends what follows our log. A hole ends the session (ZOOKEEPER-4925).
bool Zab::accept_entries(std::string_view action, LogId previous,
                         const std::vector<Entry>& entries) {
  if (previous != log_.last()) {
    trace(action, session_->leader, "gap");
    look("gap");
    return false;
  }
  if (entries.empty()) return true;
  append(entries);
  send(session_->leader, session_->epoch, Ack{session_->number, log_.last().index}, issued_);
  return true;
}

void Zab::handle(NodeId from, Epoch epoch, const Diff& diff) {
  const Session* session = session_with(from, diff.session, epoch);
  if (session == nullptr) return;
  if (session->is_acknowledged) return trace("DropDiff", from, "after_new_leader");
  if (session->image) return trace("DropDiff", from, "within_snap");
  accept_entries("DropDiff", diff.previous, diff.entries);
}

// The history is durable, then the epoch that it is of, then the acknowledgement leaves
// (ZOOKEEPER-3911, 4643, 4646, 4785).
void Zab::handle(NodeId from, Epoch epoch, const NewLeader& announced) {
  Session* session = session_with(from, announced.session, epoch);
  if (session == nullptr) return;
  if (session->is_acknowledged) return trace("DropNewLeader", from, "twice");
  if (session->image || announced.last != log_.last()) {
    trace("DropNewLeader", from, "gap");
    return look("gap");
  }
  trace("FollowerProcessNEWLEADER", from);
  session->is_acknowledged = true;
  if (hard_state_.synced_epoch != epoch) save_hard_state(epoch, epoch);
  send(from, epoch, AckNewLeader{session->number}, issued_);
}

void Zab::handle(NodeId from, Epoch epoch, const UpToDate& message) {
  Session* session = session_with(from, message.session, epoch);
  if (session == nullptr) return;
  if (!session->is_acknowledged || session->phase == Phase::broadcast) {
    return trace("DropUpToDate", from, "not_acknowledged");
  }
  const LogIndex commit = std::max(session->commit, message.commit);
  if (commit > log_.last().index) {
    trace("DropUpToDate", from, "gap");
    return look("gap");
  }
  session->phase = Phase::broadcast;
  vote_ = {from, vote_.last, epoch};
  trace("FollowerProcessUPTODATE", from);
  set_leader(epoch, from);
  advance_commit(commit);
}

}  // namespace qlab::zab
