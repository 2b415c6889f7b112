// ZAB seen from outside: status, digest, invariants.
#include "common/check.h"
#include "zab/zab.h"

namespace qlab::zab {

PeerState Zab::state() const {
  if (leadership_) return PeerState::leading;
  if (!session_) return PeerState::looking;
  return configs_.is_voter(self_.id) ? PeerState::following : PeerState::observing;
}

consensus::Status Zab::status() const {
  consensus::Status status{name_of(state()), hard_state_.epoch, leader_, commit_, log_.last(), {}};
  if (!leadership_) return status;
  for (const auto& [id, learner] : leadership_->learners) {
    status.peers.push_back({id, learner.match, learner.next, name_of(learner.stage)});
  }
  return status;
}

std::uint64_t Zab::digest() const {
  std::uint64_t digest = 0;
  const auto fold = [&digest](auto value) {
    digest = (digest ^ static_cast<std::uint64_t>(value)) * 0x9E3779B97F4A7C15u;
    digest ^= digest >> 32;
  };
  fold(state());
  fold(hard_state_.epoch.value());
  fold(hard_state_.synced_epoch.value());
  fold(leader_ ? leader_->value() : -1);
  fold(commit_.value());
  fold(log_.last().epoch.value());
  fold(log_.last().index.value());
  fold(durable_.value());
  fold(issued_.value());
  fold(written_.value());
  fold(configs_.logged().at.index.value());
  fold(round_);
  fold(vote_.leader.value());
  fold(vote_.last.index.value());
  fold(vote_.peer_epoch.value());
  fold(vote_.is_left_out);
  fold(next_deadline().time_since_epoch().count());
  fold(doubtful_.size());
  fold(configs_.at().index.value());
  for (const auto& [id, inbound] : inbound_) {
    fold(id.value());
    fold(inbound.link);
    fold(inbound.asked);
  }
  for (const auto& [id, known] : configs_.heard()) {
    fold(id.value());
    fold(known.at.epoch.value());
    fold(known.at.index.value());
  }
  for (const auto* votes : {&votes_, &decided_}) {
    for (const auto& [id, notification] : *votes) {
      fold(id.value());
      fold(notification.vote.leader.value());
      fold(notification.round);
    }
  }
  if (session_) {
    fold(session_->number);
    fold(session_->phase);
    fold(session_->commit.value());
    fold(session_->position);
  }
  if (leadership_) {
    fold(leadership_->phase);
    fold(leadership_->round);
    fold(leadership_->uncommitted_bytes);
    for (const auto& [id, learner] : leadership_->learners) {
      fold(id.value());
      fold(learner.stage);
      fold(learner.match.value());
      fold(learner.next.value());
      fold(learner.window.messages());
      fold(learner.image_is_gone);
    }
  }
  return digest;
}

void Zab::check_invariants() const {
  const consensus::LogId last = log_.last();
  CHECK(commit_ <= last.index);
  CHECK(durable_ <= last.index);
  CHECK(last.epoch <= hard_state_.epoch);
  CHECK(hard_state_.synced_epoch <= hard_state_.epoch);
  CHECK(!leadership_ || !session_);
  CHECK(doubtful_.empty() == (doubtful_deadline_ == Time::max()));
  if (session_) {
    CHECK(session_->leader != self_.id);
    CHECK(!session_->is_acknowledged || hard_state_.synced_epoch == session_->epoch);
    CHECK(session_->phase != Phase::broadcast || session_->is_acknowledged);
    CHECK((leader_ == session_->leader) == (session_->phase == Phase::broadcast));
  }
  if (!leadership_) return;
  CHECK(leader_.has_value() == (leadership_->phase == Phase::broadcast));
  CHECK(!leadership_->is_epoch_fixed || leadership_->epoch == hard_state_.epoch);
  if (leadership_->phase == Phase::broadcast) {
    CHECK(commit_ >= leadership_->history.index);
    CHECK(has_synced_quorum());
  } else {
    CHECK(last == leadership_->history);  // Nothing is proposed before service begins.
  }
  for (const auto& [id, learner] : leadership_->learners) {
    CHECK(id != self_.id);
    if (learner.stage < Stage::diff) continue;
    CHECK(learner.match < learner.next);
    CHECK(learner.next <= last.index.next());
    CHECK(learner.told < learner.next);
    CHECK(learner.window.messages() <= tuning_.inflight_messages_max);
  }
}

}  // namespace qlab::zab
