// The follower's end of a fetch. One is on its way at a time, and the next one is the
// acknowledgement: it leaves when what the last one brought is durable.
// Source: KIP-595, "Fetch", "BeginQuorumEpoch".
#include "raft/kraft/kraft.h"

namespace qlab::raft::kraft {

using consensus::LogId;
using consensus::WriteSeq;

// A new request to our leader, once it can be reached.
void Kraft::fetch() {
  outstanding_.reset();
  retry_at_ = Time::max();
  if (links_.contains(*leader_)) ask(*leader_, false);
}

// After an answer that got us nowhere.
void Kraft::fetch_later() {
  outstanding_.reset();
  retry_at_ = now_ + fetch_timeout() / 20 + Duration(1);
}

// Again: with the same number, so that the answer to either will do.
void Kraft::ask(NodeId leader, bool again) {
  if (!again) outstanding_ = Outstanding{leader, next_request(), download_.has_value()};
  retry_at_ = now_ + fetch_timeout() / 2 + Duration(1);
  const Correlation& correlation = outstanding_->correlation;
  const WriteSeq after = std::max(log_seq_, hard_seq_);
  if (download_) {
    send(leader,
         FetchSnapshot{correlation, self_.directory, download_->snapshot, download_->position},
         after);
  } else {
    send(leader,
         Fetch{correlation, self_.directory, log_.last().index.next(), log_.last().epoch, commit_,
               leader_round_},
         after);
  }
}

// An observer that knows of no leader asks whoever it is linked with, one after the other: each
// names the leader that it knows of (KIP-595).
void Kraft::find_leader() {
  outstanding_.reset();
  retry_at_ = Time::max();
  if (links_.empty()) return;
  auto next = links_.upper_bound(asked_);
  if (next == links_.end()) next = links_.begin();
  asked_ = next->first;
  ask(asked_, false);
}

void Kraft::on_follower_timer() {
  if (now_ >= fetch_deadline_) {
    if (may_campaign()) return start_election(deadline_reason_);
    return become_unattached(hard_state_.epoch);
  }
  if (now_ < retry_at_) return;
  if (!outstanding_) return fetch();
  ask(outstanding_->to, true);
}

bool Kraft::take_answer(NodeId from, const Correlation& correlation, bool for_snapshot) {
  if (!outstanding_ || outstanding_->to != from || outstanding_->for_snapshot != for_snapshot ||
      outstanding_->correlation != correlation) {
    trace("DropFetchResponse", from, "stale");
    return false;
  }
  outstanding_.reset();
  return true;
}

// Whether the answer is our leader's; if not, what it tells of another is taken to heart.
bool Kraft::is_answered_by_leader(NodeId from, Epoch epoch, std::optional<NodeId> leader) {
  const auto whom = [this] { return std::tuple{hard_state_.epoch, state_, leader_}; };
  const auto before = whom();
  const bool is_current = learn(from, epoch, leader);
  if (before != whom()) {  // An observer without a leader has asked another one already.
    if (state_ == State::follower) fetch();
    return false;
  }
  if (is_current && state_ == State::follower && leader_ == from && leader == from) return true;
  fetch_later();
  return false;
}

// The leader may be gone: unless it answers `within` that time, we campaign. And whoever asks us
// whether it could win is not told of this leader any more.
void Kraft::suspect_leader(Duration within, std::string_view reason) {
  has_fetched_ = false;
  if (now_ + within >= fetch_deadline_) return;
  fetch_deadline_ = now_ + within;
  deadline_reason_ = reason;
}

void Kraft::heard_of_leader() {
  has_fetched_ = true;
  suspected_.reset();
  fetch_deadline_ = now_ + fetch_timeout();
  deadline_reason_ = "fetch_timeout";
}

void Kraft::handle(NodeId from, Epoch epoch, const BeginQuorumEpoch& request) {
  if (request.voter != DirectoryId{} && request.voter != self_.directory) {
    return trace("DropBeginQuorumEpoch", from, "invalid_voter_key");
  }
  if (!learn(from, epoch, from)) {
    if (epoch < hard_state_.epoch) send(from, BeginQuorumEpochResponse{leader_}, hard_seq_);
    return;
  }
  send(from, BeginQuorumEpochResponse{leader_}, hard_seq_);
  if (state_ == State::prospective && ended_ != epoch) return lose_election();  // It is there.
  if (state_ != State::follower) return;
  if (!outstanding_) return fetch();
  // A leader says so when its link to us is up: an answer that it gave before had no way to us.
  if (outstanding_->to == from) ask(from, true);
}

void Kraft::handle(NodeId from, Epoch epoch, const FetchResponse& response) {
  if (!take_answer(from, response.correlation, false)) return;
  const auto leader = response.status == FetchStatus::ok ? std::optional(from) : response.leader;
  if (!is_answered_by_leader(from, epoch, leader)) return;
  leader_round_ = std::max(leader_round_, response.round);
  heard_of_leader();
  set_leader(from);  // Announces the one that we followed before a restart.
  if (response.diverging_epoch) return truncate_to(from, *response.diverging_epoch);
  if (response.snapshot) return download(from, *response.snapshot);
  accept(from, response);
}

// Our log and the leader's part at the end of an epoch: the smaller of its end here and there
// (KIP-595, DivergingEpoch). We ask again when the cut is durable, or a crash would bring back what
// we no longer claim.
void Kraft::truncate_to(NodeId leader, LogId diverging) {
  const LogId ours = log_.end_of_epoch(diverging.epoch);
  const LogIndex end =
      ours.epoch == diverging.epoch ? std::min(ours.index, diverging.index) : ours.index;
  if (end < commit_ || end >= log_.last().index) {
    trace("DropFetchResponse", leader,
          end < commit_ ? "diverges_below_high_watermark" : "diverges_nowhere");
    return fetch_later();
  }
  trace("TruncateToEndOffset", leader);
  truncate(end.next());
  fetch();
}

void Kraft::accept(NodeId leader, const FetchResponse& response) {
  if (!response.entries.empty()) {
    const LogId first = response.entries.front().id;
    if (first.index != log_.last().index.next() || first.epoch < log_.last().epoch) {
      trace("DropFetchResponse", leader, "does_not_follow");
      return fetch_later();
    }
    if (!check_configs(response.entries)) {
      trace("DropFetchResponse", leader, "damaged_config");
      return fetch_later();
    }
    append(response.entries);
  }
  commit(std::min(response.high_watermark, log_.last().index));
  fetch();
}

}  // namespace qlab::raft::kraft
