// Phase 1: an epoch that is new to a quorum. Whoever accepts it follows no earlier one any more.
// Source: Zab, phase 1 (CEPOCH, NEWEPOCH, ACK-E); ZooKeeper's Leader and Learner.
#include "common/check.h"
#include "zab/zab.h"

namespace qlab::zab {

void Zab::lead() {
  leadership_.emplace();
  leadership_->epoch = hard_state_.epoch.next();
  leadership_->history_epoch = hard_state_.synced_epoch;
  leadership_->history = log_.last();
  leadership_->deadline = now_ + init_limit_;
  leadership_->ping_due = now_ + tuning_.heartbeat_interval;
  for (const auto& [peer, early] : std::exchange(early_infos_, {})) {
    if (leadership_) accept_learner(peer, early.first, early.second);
  }
  if (leadership_) fix_epoch_if_quorum();
}

void Zab::follow(NodeId leader) {
  session_.emplace();
  session_->leader = leader;
  session_->number = ++sessions_;
  session_->heard = now_;
  // They thought that we would lead.
  for (const auto& [peer, early] : std::exchange(early_infos_, {})) notify(peer, true);
  ask_to_follow();
}

void Zab::ask_to_follow() {
  if (!links_.contains(session_->leader)) return;  // When it is up.
  session_->is_asked = true;
  send(session_->leader, hard_state_.epoch, FollowerInfo{session_->number, hard_state_.epoch});
}

// A learner asks once in a session. Taken twice, it would be thought to be without what it was
// sent.
void Zab::handle(NodeId from, Epoch, const FollowerInfo& info) {
  Inbound& inbound = inbound_.at(from);
  if (info.session <= inbound.asked) return trace("DropFollowerInfo", from, "twice");
  inbound.asked = info.session;
  if (leadership_) return accept_learner(from, receiving_, info);
  if (session_) return notify(from, true);  // It mistakes us for its leader.
  early_infos_[from] = {receiving_, info};
}

void Zab::accept_learner(NodeId from, std::uint32_t link, const FollowerInfo& info) {
  Leadership& lead = *leadership_;
  trace("LeaderProcessFOLLOWERINFO", from);
  if (lead.is_epoch_fixed && info.accepted_epoch > lead.epoch) {
    // It can never follow us. (ZooKeeper leaves it out for as long as the leader lives.)
    return look("later_epoch_accepted");
  }
  Learner learner;
  learner.session = info.session;
  learner.link = link;
  learner.heard = now_;
  learner.accepted_epoch = info.accepted_epoch;
  lead.learners[from] = learner;
  if (!lead.is_epoch_fixed) {
    lead.epoch = std::max(lead.epoch, info.accepted_epoch.next());
    return fix_epoch_if_quorum();
  }
  send(from, lead.epoch, LeaderInfo{info.session}, lead.seq);
}

// The epoch is durable here before anybody hears of it.
void Zab::fix_epoch_if_quorum() {
  Leadership& lead = *leadership_;
  if (lead.is_epoch_fixed) return;
  if (!is_quorum([&](NodeId id) { return id == self_.id || lead.learners.contains(id); })) return;
  lead.is_epoch_fixed = true;
  lead.deadline = now_ + init_limit_;
  save_hard_state(lead.epoch, hard_state_.synced_epoch);
  lead.seq = issued_;
  trace("LeaderProposesEpoch");
  for (const auto& [peer, learner] : lead.learners) {
    send(peer, lead.epoch, LeaderInfo{learner.session}, lead.seq);
  }
}

// Accepts the leader's epoch, durably, and tells what we have. An epoch that we accepted before may
// have been proposed by another leader: accepting it once more counts for nothing.
void Zab::handle(NodeId from, Epoch epoch, const LeaderInfo& info) {
  if (!session_ || session_->leader != from || session_->number != info.session || session_->link) {
    return trace("DropOldSession", from);
  }
  if (epoch < hard_state_.epoch) {
    trace("DropLeaderInfo", from, "epoch_before_accepted");
    return look("epoch_before_accepted");
  }
  const bool again = epoch == hard_state_.epoch;
  session_->link = receiving_;
  session_->epoch = epoch;
  session_->heard = now_;
  session_->phase = Phase::synchronisation;
  trace("FollowerProcessLEADERINFO", from);
  if (!again) save_hard_state(epoch, hard_state_.synced_epoch);
  send(from, epoch, AckEpoch{session_->number, again, hard_state_.synced_epoch, log_.last()},
       issued_);
}

void Zab::handle(NodeId from, Epoch epoch, const AckEpoch& ack) {
  Learner* learner = learner_of(from, ack.session, epoch);
  if (learner == nullptr) return;
  if (learner->stage != Stage::connected) return trace("DropAckEpoch", from, "twice");
  trace("LeaderProcessACKEPOCH", from);
  learner->stage = Stage::epoch_acked;
  learner->last = ack.last;
  if (leadership_->phase != Phase::discovery) return sync_learner(from);
  if (!ack.again) {
    // What a quorum accepted before must be in our history: we cannot take it from others.
    const auto ours = std::tie(leadership_->history_epoch, leadership_->history);
    if (configs_.weighs(from) && std::tie(ack.current_epoch, ack.last) > ours) {
      return look("follower_is_ahead");
    }
    learner->counts_epoch = true;
  }
  finish_discovery_if_quorum();
}

// Our history is that of the new epoch. It is durable before we say that we are in it: a crash
// keeps a prefix of the writes.
void Zab::finish_discovery_if_quorum() {
  Leadership& lead = *leadership_;
  if (lead.phase != Phase::discovery || !lead.is_epoch_fixed) return;
  const auto accepted = [&](NodeId id) {
    if (id == self_.id) return written_ >= lead.seq;
    const auto learner = lead.learners.find(id);
    return learner != lead.learners.end() && learner->second.counts_epoch;
  };
  if (!is_quorum(accepted)) return;
  lead.phase = Phase::synchronisation;
  lead.deadline = now_ + init_limit_;
  save_hard_state(lead.epoch, lead.epoch);
  lead.seq = issued_;
  std::vector<NodeId> ready;
  for (const auto& [peer, learner] : lead.learners) {
    if (learner.stage == Stage::epoch_acked) ready.push_back(peer);
  }
  for (const NodeId peer : ready) sync_learner(peer);
}

}  // namespace qlab::zab
