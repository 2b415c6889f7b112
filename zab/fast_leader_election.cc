// Phase 0: who should lead. Votes are volatile; what counts is written down in phase 1.
// Source: ZooKeeper's FastLeaderElection; the paper assumes such an oracle (Zab, section IV).
#include "consensus/quorum.h"
#include "zab/zab.h"

namespace qlab::zab {

using consensus::LogId;

// Whether somebody may need what we have: a leader that goes by a configuration in which we count
// gives up when we have more than it has.
bool Zab::stands() const {
  return configs_.weighs_anywhere(self_.id);
}

Vote Zab::own_vote() const {
  if (!stands()) return Vote{};
  const bool is_left_out = !configs_.weighs(self_.id);
  return Vote{self_.id, log_.last(), hard_state_.synced_epoch, is_left_out};
}

// Leaves whatever we were in, and looks for a leader in a new round.
void Zab::look(std::string_view reason) {
  if (leadership_) end_leadership(reason);
  if (session_) end_session(reason);
  ++round_;
  begin_round(reason);
}

void Zab::begin_round(std::string_view reason) {
  if (stands()) emit(out::ElectionStarted{hard_state_.epoch.next(), reason});
  votes_.clear();
  decided_.clear();
  notify_interval_ = finalize_wait_;
  vote_for(own_vote());
  weigh_votes();
}

void Zab::vote_for(const Vote& vote) {
  vote_ = vote;
  finalize_at_ = Time::max();
  trace("FLEVote", vote.leader, vote.leader == self_.id ? "own" : "better_than_ours");
  notify_all();
}

// With our configuration for who goes by another one: it might look among those that are gone.
void Zab::notify(NodeId peer, bool is_reply) {
  if (peer == self_.id) return;
  Notification n{round_, vote_, state(), is_reply, configs_.at(), configs_.news_for(peer)};
  send(peer, hard_state_.epoch, std::move(n));
}

// Answers who looks, if it knows less than we do or is not one of those that we tell by ourselves.
// Who said before that it does not look has not weighed the vote that we told it.
void Zab::reply(NodeId from, const Notification& n) {
  const bool looks = !leadership_ && !session_;
  const bool knows_less = n.round < round_ || !configs_.is_voter(from) || decided_.contains(from);
  const bool with_vote = !looks || (stands() && knows_less);
  if (configs_.is_untold(from) || (with_vote && !n.is_reply)) notify(from, true);
}

// A vote is for who stands by a configuration that somebody goes by, and peers change theirs.
void Zab::reconsider() {
  if (leadership_ || session_) return;
  if (vote_.leader == no_node) {
    if (!stands()) return;
    vote_for(own_vote());
    return weigh_votes();
  }
  if (configs_.weighs_anywhere(vote_.leader)) return;
  ++round_;
  begin_round("reconfigured");
}

void Zab::adopt_config(const Notification& n) {
  if (!n.config || !configs_.adopt(n.config_at, *n.config)) return;
  ++round_;
  begin_round("reconfigured");
}

void Zab::notify_all() {
  for (const auto& [peer, link] : links_) notify(peer);
  notify_at_ = now_ + notify_interval_;
}

// ZooKeeper's totalOrderPredicate. Who has no weight is never elected.
bool Zab::is_better(const Vote& vote, const Vote& than) const {
  if (!configs_.weighs_anywhere(vote.leader)) return false;
  if (than.leader == no_node) return true;
  return std::tuple(vote.peer_epoch, vote.last, !vote.is_left_out, vote.leader) >
         std::tuple(than.peer_epoch, than.last, !than.is_left_out, than.leader);
}

// Votes of those that look are equal in everything; once decided, who leads which epoch counts.
bool Zab::agree_on(const Votes& votes, const Notification& on) const {
  const auto agrees = [&](NodeId id) {
    const auto at = votes.find(id);
    if (at == votes.end()) return false;
    const Notification& n = at->second;
    if (n.state == PeerState::looking || on.state == PeerState::looking) {
      return n.vote == on.vote && n.round == on.round;
    }
    return n.vote.leader == on.vote.leader && n.vote.peer_epoch == on.vote.peer_epoch;
  };
  return consensus::is_quorum(configs_.of(on.vote.leader), consensus::QuorumUse::elect, agrees);
}

// ZooKeeper's checkLeader: a leader that is dead may have followers that do not know it yet.
bool Zab::says_it_leads(const Votes& votes, const Notification& on) const {
  if (on.vote.leader == self_.id) return on.round == round_;
  const auto leader = votes.find(on.vote.leader);
  return leader != votes.end() && leader->second.state == PeerState::leading;
}

// With a quorum behind our vote we wait for a better one, for finalizeWait.
void Zab::weigh_votes() {
  const Notification ours{.round = round_, .vote = vote_};
  votes_[self_.id] = ours;
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
  configs_.hear(from, n.config_at, n.config);
  if (looks) reply(from, n);
  if (leadership_ || session_) return;
  adopt_config(n);
  reconsider();
  if (!looks) return hear_decided(from, n);
  decided_.erase(from);
  if (!configs_.is_voter_anywhere(from) || n.vote.leader == no_node) return;
  if (!configs_.is_voter_anywhere(n.vote.leader)) {
    return trace("DropNotification", from, "not_a_voter");
  }
  hear_looking(from, n);
}

void Zab::hear_looking(NodeId from, const Notification& n) {
  if (n.round < round_) return;
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

// Votes of those that follow or lead: of our own round, or of an ensemble that works without us. It
// may have a configuration that we do not know.
void Zab::hear_decided(NodeId from, const Notification& n) {
  if (n.round == round_) votes_[from] = n;
  decided_[from] = n;
  const bool of_our_round = n.round == round_ && says_it_leads(votes_, n) && agree_on(votes_, n);
  const bool of_others = says_it_leads(decided_, n) && agree_on(decided_, n);
  if (!of_our_round && !of_others) return;
  round_ = n.round;
  vote_ = n.vote;
  decide();
}

}  // namespace qlab::zab
