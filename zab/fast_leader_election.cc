// Phase 0: who should lead. Votes are volatile; what counts is written down in phase 1.
// Source: ZooKeeper's FastLeaderElection; the paper assumes such an oracle (Zab, section IV).
#include "consensus/quorum.h"
#include "zab/zab.h"

namespace qlab::zab {

Vote Zab::own_vote() const {
  if (!is_voter(self_.id)) return Vote{};
  return Vote{self_.id, log_.last(), hard_state_.synced_epoch};
}

// Leaves whatever we were in, and looks for a leader in a new round.
void Zab::look(std::string_view reason) {
  if (leadership_) end_leadership(reason);
  if (session_) end_session(reason);
  ++round_;
  begin_round(reason);
}

void Zab::begin_round(std::string_view reason) {
  if (is_voter(self_.id)) emit(out::ElectionStarted{hard_state_.epoch.next(), reason});
  votes_.clear();
  decided_.clear();
  notify_interval_ = finalize_wait_;
  vote_for(own_vote());
  weigh_votes();
}

void Zab::vote_for(const Vote& vote) {
  vote_ = vote;
  finalize_at_ = Time::max();
  notify_all();
}

void Zab::notify(NodeId peer) {
  if (peer == self_.id) return;
  // Who has no vote asks those that have one, and they tell it.
  if (!is_voter(self_.id) && !leadership_ && !is_voter(peer)) return;
  send(peer, hard_state_.epoch, Notification{round_, vote_, state()});
}

void Zab::notify_all() {
  for (const auto& [peer, link] : links_) notify(peer);
  notify_at_ = now_ + notify_interval_;
}

// ZooKeeper's totalOrderPredicate. Who has no weight is never elected.
bool Zab::is_better(const Vote& vote, const Vote& than) const {
  const consensus::Member* member = consensus::find_member(config_, vote.leader);
  if (member == nullptr || member->weight == 0) return false;
  return std::tie(vote.peer_epoch, vote.last, vote.leader) >
         std::tie(than.peer_epoch, than.last, than.leader);
}

// Votes of those that look are equal in everything; once decided, who leads which epoch counts.
bool Zab::agree_on(const Votes& votes, const Notification& on) const {
  return is_quorum([&](NodeId id) {
    const auto at = votes.find(id);
    if (at == votes.end()) return false;
    const Notification& n = at->second;
    if (n.state == PeerState::looking || on.state == PeerState::looking) {
      return n.vote == on.vote && n.round == on.round;
    }
    return n.vote.leader == on.vote.leader && n.vote.peer_epoch == on.vote.peer_epoch;
  });
}

// ZooKeeper's checkLeader: a leader that is dead may have followers that do not know it yet.
bool Zab::says_it_leads(const Votes& votes, const Notification& on) const {
  if (on.vote.leader == self_.id) return on.round == round_;
  const auto leader = votes.find(on.vote.leader);
  return leader != votes.end() && leader->second.state == PeerState::leading;
}

// With a quorum behind our vote we wait for a better one, for finalizeWait.
void Zab::weigh_votes() {
  const Notification ours{round_, vote_, PeerState::looking};
  if (is_voter(self_.id)) votes_[self_.id] = ours;
  if (!agree_on(votes_, ours)) {
    finalize_at_ = Time::max();
  } else if (finalize_at_ == Time::max()) {
    finalize_at_ = now_ + finalize_wait_;
  }
}

void Zab::decide() {
  trace("FLEDecide", vote_.leader);
  finalize_at_ = Time::max();
  votes_.clear();
  decided_.clear();
  if (vote_.leader == self_.id) {
    lead();
  } else {
    follow(vote_.leader);
  }
}

void Zab::on_looking_timer() {
  if (now_ >= finalize_at_) return decide();
  if (now_ < notify_at_) return;
  notify_interval_ = std::min(2 * notify_interval_, tuning_.election_timeout);
  notify_all();
}

// A peer we have to do with has gone its way, as its own words show: its stream is FIFO.
void Zab::leave_if_gone(NodeId from, const Notification& n) {
  if (n.state == PeerState::looking) {
    early_infos_.erase(from);
    if (leadership_ && leadership_->learners.contains(from)) drop_learner(from, "looks");
  }
  if (!session_ || session_->leader != from) return;
  bool gone = n.state != PeerState::leading;
  if (!session_->link && n.state == PeerState::looking) {  // It may not have decided yet.
    gone = n.round > round_ || n.vote.leader != from;
  }
  if (gone) look("leader_left");
}

void Zab::handle(NodeId from, Epoch, const Notification& n) {
  leave_if_gone(from, n);
  const bool looks = n.state == PeerState::looking;
  if (leadership_ || session_ || !is_voter(from)) {
    if (looks && is_voter(self_.id)) notify(from);
    return;
  }
  if (!is_voter(n.vote.leader)) return trace("DropNotification", from, "not_a_voter");
  if (looks) {
    hear_looking(from, n);
  } else if (n.state != PeerState::observing) {
    hear_decided(from, n);
  }
}

void Zab::hear_looking(NodeId from, const Notification& n) {
  if (n.round < round_) return notify(from);
  if (n.round > round_) {
    round_ = n.round;
    votes_.clear();
    const Vote own = own_vote();
    vote_for(is_better(n.vote, own) ? n.vote : own);
  } else if (is_better(n.vote, vote_)) {
    vote_for(n.vote);
  }
  votes_[from] = n;
  weigh_votes();
}

// Votes of those that follow or lead: of our own round, or of an ensemble that works without us.
void Zab::hear_decided(NodeId from, const Notification& n) {
  if (n.round == round_) votes_[from] = n;
  decided_[from] = n;
  const bool of_our_round = n.round == round_ && agree_on(votes_, n) && says_it_leads(votes_, n);
  if (!of_our_round && !(agree_on(decided_, n) && says_it_leads(decided_, n))) return;
  round_ = n.round;
  vote_ = n.vote;
  decide();
}

}  // namespace qlab::zab
