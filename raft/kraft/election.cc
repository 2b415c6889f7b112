// Elections: pre-vote, votes, backoff. Source: KIP-595, "Vote"; KIP-996; KIP-853 (replica keys).
#include "consensus/quorum.h"
#include "raft/kraft/kraft.h"

namespace qlab::raft::kraft {

using consensus::HardState;
using consensus::QuorumUse;
using consensus::ReplicaKey;
using consensus::WriteSeq;

// What the first wait after a lost candidacy is drawn from is twice this, or a fifth of the
// election timeout, whichever is less. Kafka's figure.
constexpr Duration backoff_base_max = std::chrono::milliseconds(100);

// Uniform in [T, 2T), so that two voters seldom campaign at once. A voter that is alone has nobody
// to wait for.
void Kraft::reset_election_deadline() {
  const auto spread = static_cast<std::uint64_t>(tuning_.election_timeout.count());
  election_deadline_ =
      now_ + tuning_.election_timeout + Duration(static_cast<Duration::rep>(random_.below(spread)));
  const bool is_alone = is_voter() && other_voters().empty();
  if (is_alone && state_ != State::candidate) election_deadline_ = now_;
}

void Kraft::start_election(std::string_view reason) {
  deadline_reason_ = reason;
  if (leader_) suspected_ = leader_;
  emit(out::ElectionStarted{hard_state_.epoch.next(), reason});
  if (tuning_.pre_vote) {
    become_prospective();
  } else {
    become_candidate();
  }
}

void Kraft::on_election_timer() {
  if (state_ == State::unattached && !is_voter() && now_ >= retry_at_) find_leader();
  if (now_ < election_deadline_) return;
  if (!may_campaign()) {
    if (state_ != State::unattached) become_unattached(hard_state_.epoch);
    return;
  }
  if (state_ == State::prospective) return lose_election();
  if (state_ == State::unattached) return start_election("election_timeout");
  lost_ += backing_off_ ? 0 : 1;
  start_election(backing_off_ ? "election_backoff" : "election_timeout");
}

// A prospective goes back to what it was. A candidate that lost waits, longer each time that it
// loses in a row, at most an election timeout: two that took each other's votes must part
// (KIP-595, quorum.election.backoff.max.ms).
void Kraft::lose_election() {
  if (state_ == State::prospective) {
    if (!leader_) return become_unattached(hard_state_.epoch);
    become_follower(hard_state_.epoch, *leader_);
    return fetch();
  }
  if (backing_off_) return;
  backing_off_ = true;
  const Duration base = std::min(tuning_.election_timeout / 10, backoff_base_max) + Duration(1);
  const Duration most = std::min(tuning_.election_timeout, base * (2 << std::min(lost_, 10u)));
  lost_ += 1;
  election_deadline_ =
      now_ +
      Duration(static_cast<Duration::rep>(random_.below(static_cast<std::uint64_t>(most.count()))));
  trace("ElectionBackoff");
}

// A request for a real vote waits for our own: were it lost in a crash together with the end of our
// log, we could ask again in this epoch with a shorter log, and count answers to the longer one.
void Kraft::ask_for_vote(NodeId peer) {
  const bool pre = state_ == State::prospective;
  const consensus::Member* voter = consensus::find_member(config(), peer);
  send(peer, Vote{{session_, election_}, pre, self_.directory, voter->directory, log_.last()},
       pre ? WriteSeq{0} : hard_seq_);
}

void Kraft::count_vote(NodeId from, bool granted) {
  votes_[from] = granted;
  const auto said = [this](bool what) {
    return [this, what](NodeId id) {
      const auto vote = votes_.find(id);
      return vote != votes_.end() && vote->second == what;
    };
  };
  if (is_quorum(config(), QuorumUse::elect, said(true))) {
    if (state_ == State::prospective) return become_candidate();
    return become_leader();
  }
  // Followers of one leader lose it at the same moment, and then take each other's votes. The
  // answer that still lacks is that leader's: to wait for it would cost an election timeout.
  const auto is_lost = [&](NodeId id) {
    const bool is_silent = id == suspected_ && !votes_.contains(id);
    return said(false)(id) || (is_silent && !granted && state_ == State::candidate);
  };
  if (!is_quorum_possible(config(), QuorumUse::elect, is_lost)) lose_election();
}

// Whether the asker has to give way to us, who ask it at the same moment. Followers of one leader
// lose it together, as a fetch timeout has no jitter: were both granted, both would be candidates
// and take each other's votes. Who asks without having lost a leader waited for a time of its own.
bool Kraft::yields(const ReplicaKey& asker, const Vote& vote) const {
  const bool has_lost_leader = leader_ && ended_ != hard_state_.epoch;
  return state_ == State::prospective && has_lost_leader && vote.last == log_.last() &&
         asker.id < self_.id;
}

// Whether we would, or do, vote for the candidate. A pre-vote is refused by whoever has a leader
// that answers; a vote is given once in an epoch, and not where a leader is known already.
bool Kraft::can_grant(const ReplicaKey& candidate, const Vote& vote) const {
  const bool up_to_date = vote.last >= log_.last();  // Raft 5.4.1.
  if (vote.pre_vote) {
    if (state_ == State::leader || yields(candidate, vote)) return false;
    return up_to_date && !(state_ == State::follower && has_fetched_);
  }
  if (state_ != State::unattached && state_ != State::prospective) return false;
  if (hard_state_.vote) return *hard_state_.vote == candidate;
  return !leader_ && up_to_date;
}

// Whether the asker or we are voters is not asked: the asker's log may know of a change that ours
// does not (KIP-853; Raft dissertation 4.2.2).
void Kraft::handle(NodeId from, Epoch epoch, const Vote& vote) {
  if (vote.voter != DirectoryId{} && vote.voter != self_.directory) {
    return trace("DropVote", from, "invalid_voter_key");
  }
  const ReplicaKey candidate{from, vote.candidate};
  bool granted = false;
  if (epoch > hard_state_.epoch) {
    granted = vote.last >= log_.last();
    become_unattached(epoch, granted && !vote.pre_vote ? std::optional(candidate) : std::nullopt);
  } else if (epoch == hard_state_.epoch) {
    granted = can_grant(candidate, vote);
    if (granted && !vote.pre_vote && !hard_state_.vote) become_unattached(epoch, candidate);
  }
  if (granted) {
    trace(vote.pre_vote ? "GrantPreVote" : "GrantVote", from);
  } else {
    const std::string_view why = epoch < hard_state_.epoch            ? "epoch_is_over"
                                 : vote.last < log_.last()            ? "log_is_behind"
                                 : hard_state_.vote && !vote.pre_vote ? "voted_for_another"
                                 : yields(candidate, vote)            ? "asks_itself"
                                 : leader_                            ? "knows_leader"
                                                                      : "campaigns_itself";
    trace(vote.pre_vote ? "RefusePreVote" : "RefuseVote", from, why);
  }
  send(from, VoteResponse{vote.correlation, vote.pre_vote, granted, leader_}, hard_seq_);
  // It has lost our leader as we had, and only our log kept us from granting: now it would grant
  // us.
  const bool is_our_turn = vote.pre_vote && !granted && epoch == hard_state_.epoch &&
                           state_ == State::follower && leader_ == suspected_ && !has_fetched_;
  if (is_our_turn && may_campaign()) start_election(deadline_reason_);
}

void Kraft::handle(NodeId from, Epoch epoch, const VoteResponse& response) {
  const bool is_asking = (state_ == State::prospective && response.pre_vote) ||
                         (state_ == State::candidate && !response.pre_vote && !backing_off_);
  const bool is_ours = response.correlation == Correlation{session_, election_};
  if (epoch <= hard_state_.epoch && !(is_asking && is_ours)) {
    return trace("DropVoteResponse", from, "stale");
  }
  const State before = state_;
  if (!learn(from, epoch, response.leader)) return;
  if (state_ != before || !is_ours) {
    if (state_ == State::follower) fetch();
    return;
  }
  const bool is_led = response.leader && response.leader == leader_ && ended_ != epoch;
  if (!response.granted && is_led) return lose_election();  // It is there, only not for us.
  if (consensus::voters_of(config()).contains(from)) count_vote(from, response.granted);
}

}  // namespace qlab::raft::kraft
