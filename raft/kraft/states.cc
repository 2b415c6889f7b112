// The six states, and what a replica does when it goes from one to another.
// Source: KIP-595, "Quorum State"; KIP-996, "State machine".
#include "common/check.h"
#include "raft/kraft/kraft.h"

namespace qlab::raft::kraft {

using consensus::Entry;
using consensus::EntryKind;
using consensus::Fate;
using consensus::HardState;
using consensus::ReplicaKey;
using consensus::WriteSeq;

std::string_view name_of(State state) {
  switch (state) {
    case State::unattached:
      return "unattached";
    case State::prospective:
      return "prospective";
    case State::candidate:
      return "candidate";
    case State::leader:
      return "leader";
    case State::follower:
      return "follower";
    case State::resigned:
      return "resigned";
  }
  return "unknown";
}

// What a restarted replica is. One that led must not lead the same epoch again: entries that it had
// not synced are gone here and may be elsewhere, and it would give their indexes a second time. One
// that asked for votes may go on asking: an entry of its epoch leaves a leader only after its
// leadership is durable, so there is none.
void Kraft::begin() {
  if (hard_state_.leader == self_.id) {
    state_ = State::resigned;
    resignation_.emplace();
    for (const NodeId voter : other_voters()) resignation_->successors.push_back({voter, {}});
    resignation_->due = Time::max();
  } else if (hard_state_.leader) {
    state_ = State::follower;
    leader_ = hard_state_.leader;
    fetch_deadline_ = now_ + fetch_timeout();
    deadline_reason_ = "fetch_timeout";
  } else if (hard_state_.vote == self_ && may_campaign() && !other_voters().empty()) {
    state_ = State::candidate;
    votes_[self_.id] = true;
    election_ = next_request().number;
  }
  reset_election_deadline();
}

void Kraft::leave_state() {
  if (state_ == State::leader) end_leadership();
  resignation_.reset();
  outstanding_.reset();
  download_.reset();
  retry_at_ = Time::max();
  votes_.clear();
  backing_off_ = false;
  has_fetched_ = false;
  leader_round_ = 0;
}

// That an election began elsewhere is no reason to wait longer than we would have: a voter that
// cannot win would hold off those that can by asking again and again. That we voted in it is one.
void Kraft::become_unattached(Epoch epoch, std::optional<ReplicaKey> vote) {
  const bool is_overtaken = epoch > hard_state_.epoch && !vote && state_ != State::leader;
  if (is_overtaken && state_ == State::follower) election_deadline_ = fetch_deadline_;
  leave_state();
  if (epoch > hard_state_.epoch) {
    save(HardState{epoch, epoch, vote, std::nullopt});
  } else if (vote) {
    HardState next = hard_state_;
    next.vote = vote;
    save(next);
  }
  state_ = State::unattached;
  trace("TransitionToUnattached");
  set_leader(std::nullopt);
  if (!is_overtaken || now_ >= election_deadline_) reset_election_deadline();
  if (!is_voter()) find_leader();
}

// Asks whether an election could be won, before the epoch moves and disturbs anybody (KIP-996). The
// leader, if one is known, is kept: it may well be there.
void Kraft::become_prospective() {
  leave_state();
  state_ = State::prospective;
  trace("TransitionToProspective", no_node, deadline_reason_);
  reset_election_deadline();
  election_ = next_request().number;
  for (const NodeId voter : other_voters()) ask_for_vote(voter);
  count_vote(self_.id, true);
}

void Kraft::become_candidate() {
  leave_state();
  const Epoch epoch = hard_state_.epoch.next();
  save(HardState{epoch, epoch, self_, std::nullopt});
  state_ = State::candidate;
  trace("TransitionToCandidate");
  set_leader(std::nullopt);
  reset_election_deadline();
  election_ = next_request().number;
  for (const NodeId voter : other_voters()) ask_for_vote(voter);
}

void Kraft::become_leader() {
  CHECK(state_ == State::candidate);
  leave_state();
  HardState next = hard_state_;
  next.leader = self_.id;
  save(next);
  state_ = State::leader;
  lost_ = 0;
  suspected_.reset();
  Leadership& lead = leadership_.emplace();
  lead.begin_due = now_ + fetch_timeout() / 2;
  for (const NodeId voter : other_voters()) lead.replicas.try_emplace(voter, now_);
  for (const auto& [peer, link] : links_) lead.replicas.try_emplace(peer, now_);
  trace("TransitionToLeader");
  set_leader(self_.id);
  // LeaderChange: what earlier epochs left is committed through an entry of our own (Raft 5.4.2).
  lead.epoch_start = log_.last().index.next();
  append({Entry{
      {hard_state_.epoch, lead.epoch_start}, EntryKind::control, std::make_shared<const Bytes>()}});
  for (const NodeId voter : other_voters()) begin_epoch(voter);
}

void Kraft::end_leadership() {
  Leadership lead = std::move(*leadership_);
  leadership_.reset();
  leader_.reset();
  if (lead.activated) emit(out::Deactivate{hard_state_.epoch});
  for (const PendingRead& read : lead.reads) answer(read.request, Fate::rejected);
  if (lead.change) {
    const bool begun = lead.change->appended > LogIndex{0};
    answer(lead.change->request, begun ? Fate::unknown : Fate::rejected);
  }
  if (lead.handover) {
    transfer_ = lead.handover;
    transfer_->deadline = now_ + 2 * tuning_.election_timeout;
  }
  proposals_.leadership_lost(now_ + tuning_.election_timeout);
}

void Kraft::become_follower(Epoch epoch, NodeId leader) {
  CHECK(leader != self_.id);
  if (state_ == State::follower && leader_ == leader && epoch == hard_state_.epoch) return;
  leave_state();
  HardState next{epoch, epoch, std::nullopt, leader};
  if (epoch == hard_state_.epoch) next.vote = hard_state_.vote;
  save(next);
  state_ = State::follower;
  lost_ = 0;
  if (suspected_ != leader) suspected_.reset();
  trace("TransitionToFollower", leader);
  set_leader(leader);
  fetch_deadline_ = now_ + fetch_timeout();
  deadline_reason_ = "fetch_timeout";
}

void Kraft::become_resigned(std::vector<ReplicaKey> successors, std::string_view reason) {
  CHECK(state_ == State::leader);
  trace("TransitionToResigned", no_node, reason);
  leave_state();
  state_ = State::resigned;
  resignation_ = Resignation{std::move(successors), {}, now_ + fetch_timeout() / 2};
  set_leader(std::nullopt);
  reset_election_deadline();
  for (const NodeId voter : other_voters()) end_epoch(voter);
}

// What any message tells of epochs and leaders. False: it is of an epoch that is over.
bool Kraft::learn(NodeId from, Epoch epoch, std::optional<NodeId> leader) {
  const bool names_another = leader && *leader != self_.id;  // Of ourselves we know better.
  if (epoch < hard_state_.epoch) {
    trace("DropStale", from, "fenced_leader_epoch");
    return false;
  }
  if (epoch > hard_state_.epoch) {
    if (names_another) {
      become_follower(epoch, *leader);
    } else {
      become_unattached(epoch);
    }
    return true;
  }
  if (!names_another || leader == leader_) return true;
  if (leader_ || state_ == State::resigned) {
    trace("DropLeader", from, "another_leads");  // There is one in an epoch.
    return false;
  }
  become_follower(epoch, *leader);
  return true;
}

}  // namespace qlab::raft::kraft
