#include "raft/kraft/kraft.h"

#include "common/check.h"
#include "consensus/quorum.h"

namespace qlab::raft::kraft {

using consensus::Entry;
using consensus::Fate;
using consensus::HardState;
using consensus::WriteSeq;

Kraft::Kraft(consensus::ModuleContext context)
    : self_(context.self),
      tuning_(context.tuning),
      log_(context.log),
      voters_(std::move(context.recovery.base), context.log),
      random_(context.random),
      session_(random_.next()),
      now_(context.now),
      hard_state_(context.recovery.hard_state),
      commit_(std::max(context.recovery.applied, context.log.snapshot().last.index)),
      durable_(context.log.last().index) {
  CHECK(commit_ <= durable_);
  CHECK(log_.last().epoch <= hard_state_.epoch);
  CHECK(tuning_.heartbeat_interval < tuning_.election_timeout);
  CHECK(tuning_.election_timeout >= std::chrono::microseconds(1));
  begin();
}

void Kraft::step(Time now, const consensus::Input& input, std::vector<consensus::Effect>& effects) {
  CHECK(now >= now_);
  now_ = now;
  effects_ = &effects;
  log_.begin_step();
  std::visit([this](const auto& alternative) { on(alternative); }, input);
  effects_ = nullptr;
}

void Kraft::on(const in::Timer&) {
  if (now_ >= proposals_.deadline()) {
    for (const auto& outcome : proposals_.give_up_doubtful()) emit(outcome);
  }
  if (transfer_ && now_ >= transfer_->deadline) settle_transfer(std::nullopt);
  switch (state_) {
    case State::leader:
      return on_leader_timer();
    case State::follower:
      return on_follower_timer();
    case State::resigned:
      return on_resigned_timer();
    case State::unattached:
    case State::prospective:
    case State::candidate:
      return on_election_timer();
  }
}

Time Kraft::next_deadline() const {
  Time due = proposals_.deadline();
  if (transfer_) due = std::min(due, transfer_->deadline);
  switch (state_) {
    case State::leader:
      return std::min(due, leader_deadline());
    case State::follower:
      return std::min({due, fetch_deadline_, retry_at_});
    case State::resigned:
      return std::min({due, election_deadline_, resignation_->due});
    case State::unattached:
      if (may_campaign()) due = std::min(due, election_deadline_);
      return is_voter() ? due : std::min(due, retry_at_);
    case State::prospective:
    case State::candidate:
      return std::min(due, election_deadline_);
  }
  return due;
}

void Kraft::on(const in::Receive& input) {
  const auto payload = decode(*input.message);
  if (!payload) return trace("DropMalformed", input.from);
  const Epoch epoch = input.message->epoch;
  std::visit([&](const auto& message) { handle(input.from, epoch, message); }, *payload);
}

void Kraft::on(const in::LinkUp& input) {
  const NodeId peer = input.peer;
  links_[peer] = input.link;
  const bool votes = other_voters().contains(peer);
  switch (state_) {
    case State::leader:
      leadership_->replicas.try_emplace(peer, now_);
      if (votes) begin_epoch(peer);
      return;
    case State::prospective:
    case State::candidate:
      if (votes && !backing_off_ && !votes_.contains(peer)) ask_for_vote(peer);
      return;
    case State::follower:
      if (peer == leader_) fetch();
      return;
    case State::resigned:
      if (votes) end_epoch(peer);
      return;
    case State::unattached:
      if (!is_voter() && !outstanding_) find_leader();
      return;
  }
}

void Kraft::on(const in::LinkDown& input) {
  const auto link = links_.find(input.peer);
  if (link == links_.end() || link->second != input.link) return;
  links_.erase(link);
  if (outstanding_ && outstanding_->to == input.peer) {
    outstanding_.reset();
    retry_at_ = state_ == State::follower ? Time::max() : now_;  // An observer asks another.
  }
  if (state_ == State::leader) {
    const auto replica = leadership_->replicas.find(input.peer);
    if (replica == leadership_->replicas.end()) return;
    replica->second.disconnected();
    if (consensus::find_member(config(), input.peer) == nullptr) {
      leadership_->replicas.erase(replica);
    }
  } else if (state_ == State::follower && leader_ == input.peer && tuning_.link_down_is_suspicion) {
    const auto jitter = static_cast<std::uint64_t>(tuning_.election_timeout.count() / 10);
    suspect_leader(Duration(static_cast<Duration::rep>(random_.below(jitter))), "link_down");
  }
}

void Kraft::on(const in::WriteDone& input) {
  written_ = input.up_to;
  while (!unsynced_.empty() && unsynced_.front().seq <= input.up_to) {
    durable_ = unsynced_.front().last;
    unsynced_.pop_front();
  }
  if (state_ == State::candidate && input.up_to >= hard_seq_ && !votes_.contains(self_.id)) {
    count_vote(self_.id, true);
  } else if (state_ == State::leader) {
    advance_high_watermark();
  }
}

void Kraft::trace(std::string_view action, NodeId peer, std::string_view reason) {
  emit(out::Trace{action, peer, hard_state_.epoch, log_.last(), reason});
}

void Kraft::send(NodeId to, Payload payload, WriteSeq after) {
  if (!links_.contains(to)) return;
  if (after <= written_) after = WriteSeq{0};
  auto message =
      std::make_shared<const consensus::Message>(encode(hard_state_.epoch, std::move(payload)));
  emit(out::Send{to, std::move(message), after});
}

void Kraft::save(HardState state) {
  state.synced_epoch = state.epoch;
  if (state == hard_state_) return;
  CHECK(state.epoch >= hard_state_.epoch);
  hard_state_ = state;
  issued_ = issued_.next();
  hard_seq_ = issued_;
  emit(out::SaveHardState{hard_seq_, hard_state_});
}

void Kraft::append(std::vector<Entry> entries) {
  CHECK(!entries.empty());
  log_.append(entries);
  issued_ = issued_.next();
  log_seq_ = issued_;
  unsynced_.push_back({log_seq_, log_.last().index});
  bool changed = false;
  for (const Entry& entry : entries) changed |= voters_.append(entry);
  emit(out::Append{log_seq_, std::move(entries)});
  if (changed) announce_config();
}

void Kraft::truncate(LogIndex from) {
  CHECK_MSG(from > commit_, fmt::format("truncating from {} below commit {}", from, commit_));
  log_.truncate(from);
  issued_ = issued_.next();
  log_seq_ = issued_;
  // A write on its way still counts once it is done, but only for what will be left of it.
  durable_ = std::min(durable_, from.prev());
  for (Unsynced& write : unsynced_) write.last = std::min(write.last, from.prev());
  emit(out::Truncate{log_seq_, from});
  if (voters_.truncate(from)) announce_config();
}

void Kraft::announce_config() {
  emit(out::ConfigActive{config(), voters_.at()});
}

void Kraft::commit(LogIndex index) {
  if (index <= commit_) return;  // It never regresses (KIP-595).
  CHECK(index <= log_.last().index);
  commit_ = index;
  emit(out::Commit{commit_, WriteSeq{0}});
  if (leadership_ && !leadership_->activated && commit_ >= leadership_->epoch_start) {
    leadership_->activated = true;
    emit(out::Activate{hard_state_.epoch, leadership_->epoch_start});
  }
  for (const auto& outcome : proposals_.committed(commit_, log_)) emit(outcome);
}

void Kraft::answer(consensus::RequestId request, Fate fate, std::string_view reason) {
  const bool elsewhere = fate == Fate::rejected && reason.empty();
  emit(out::Outcome{request, fate, {}, elsewhere ? leader_ : std::nullopt, reason});
}

void Kraft::set_leader(std::optional<NodeId> leader) {
  leader_ = leader;
  const std::pair known{hard_state_.epoch, leader};
  if (announced_ == known) return;
  announced_ = known;
  emit(out::LeaderKnown{hard_state_.epoch, leader});
  if (leader && transfer_) settle_transfer(leader);
}

std::set<NodeId> Kraft::other_voters() const {
  std::set<NodeId> voters = consensus::voters_of(config());
  voters.erase(self_.id);
  return voters;
}

Duration Kraft::fetch_timeout() const {
  return tuning_.fetch_timeout > Duration{} ? tuning_.fetch_timeout : tuning_.election_timeout;
}

consensus::Status Kraft::status() const {
  consensus::Status status{name_of(state_), hard_state_.epoch, leader_, commit_, log_.last(), {}};
  if (leadership_) {
    for (const auto& [id, replica] : leadership_->replicas) {
      if (id == self_.id) continue;
      status.peers.push_back({id, replica.match(), replica.next(), replica.phase()});
    }
  }
  return status;
}

namespace {

void fold(std::uint64_t& state, std::uint64_t value) {
  state = (state ^ value) * 0x9E3779B97F4A7C15u;
  state ^= state >> 32;
}
template <class T>
void fold_id(std::uint64_t& state, T id) {
  fold(state, static_cast<std::uint64_t>(id.value()));
}
void fold_time(std::uint64_t& state, Time time) {
  fold(state, static_cast<std::uint64_t>(time.time_since_epoch().count()));
}

}  // namespace

std::uint64_t Kraft::digest() const {
  std::uint64_t state = 0;
  fold(state, static_cast<std::uint64_t>(state_));
  fold_id(state, hard_state_.epoch);
  fold_id(state, hard_state_.vote ? hard_state_.vote->id : no_node);
  fold_id(state, leader_.value_or(no_node));
  fold_id(state, commit_);
  fold_id(state, log_.last().epoch);
  fold_id(state, log_.last().index);
  fold_id(state, durable_);
  fold_id(state, issued_);
  fold_id(state, voters_.at().index);
  fold(state, requests_);
  fold(state, lost_ * 4 + (backing_off_ ? 2 : 0) + (has_fetched_ ? 1 : 0));
  fold_time(state, election_deadline_);
  fold_time(state, fetch_deadline_);
  fold_time(state, retry_at_);
  for (const auto& [id, granted] : votes_) {
    fold(state, static_cast<std::uint64_t>(id.value() * 2 + (granted ? 1 : 0)));
  }
  fold(state, outstanding_ ? outstanding_->correlation.number : 0);
  fold(state, download_ ? download_->position + 1 : 0);
  fold(state, installing_ ? 1 : 0);
  fold(state, proposals_.size());
  if (leadership_) {
    fold(state, leadership_->round);
    fold(state, proposals_.uncommitted_bytes());
    for (const auto& [id, replica] : leadership_->replicas) {
      fold_id(state, id);
      fold_id(state, replica.match());
      fold_id(state, replica.next());
      fold(state, replica.round());
      fold(state, replica.parked ? 1 : 0);
    }
  }
  return state;
}

void Kraft::check_invariants() const {
  const consensus::LogId last = log_.last();
  CHECK(commit_ <= last.index);
  CHECK(durable_ <= last.index);
  CHECK(last.epoch <= hard_state_.epoch);
  CHECK((state_ == State::leader) == leadership_.has_value());
  CHECK((state_ == State::resigned) == resignation_.has_value());
  CHECK((state_ == State::resigned) <= (hard_state_.leader == self_.id));
  // Who is a candidate in an epoch has no entry of it: it may ask again after a restart.
  if (state_ == State::candidate) CHECK(last.epoch < hard_state_.epoch);
  if (state_ == State::follower) CHECK(leader_.value_or(self_.id) != self_.id);
  if (state_ != State::follower) CHECK(!download_.has_value());
  if (!leadership_) return;
  CHECK(leader_ == self_.id);
  CHECK(hard_state_.leader == self_.id);
  CHECK(last.epoch == hard_state_.epoch);
  CHECK(leadership_->activated == (commit_ >= leadership_->epoch_start));
  for (const auto& [id, replica] : leadership_->replicas) {
    CHECK(replica.match() <= last.index);
    // Nothing that could be answered is left waiting.
    if (replica.parked) CHECK(replica.parked->fetch.next == last.index.next());
    if (replica.parked) CHECK(replica.parked->fetch.high_watermark >= commit_);
  }
}

std::unique_ptr<consensus::Module> make_kraft(consensus::ModuleContext context) {
  return std::make_unique<Kraft>(std::move(context));
}

}  // namespace qlab::raft::kraft
