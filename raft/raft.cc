#include "raft/raft.h"

#include "common/check.h"

namespace qlab::raft {

using consensus::Entry;
using consensus::Fate;
using consensus::HardState;
using consensus::LogId;
using consensus::ReplicaKey;
using consensus::WriteSeq;

std::string_view name_of(Role role) {
  switch (role) {
    case Role::follower:
      return "follower";
    case Role::pre_candidate:
      return "pre_candidate";
    case Role::candidate:
      return "candidate";
    case Role::leader:
      return "leader";
  }
  return "unknown";
}

Raft::Raft(consensus::ModuleContext context)
    : self_(context.self),
      tuning_(context.tuning),
      log_(context.log),
      random_(context.random),
      now_(context.now),
      hard_state_(context.recovery.hard_state),
      commit_(context.recovery.applied),
      durable_(context.log.last().index) {
  for (const consensus::Member& member : context.recovery.config.members) {
    (member.role == consensus::MemberRole::voter ? voters_ : observers_).insert(member.id);
  }
  CHECK(commit_ <= durable_);
  CHECK(tuning_.heartbeat_interval < tuning_.election_timeout);
  CHECK(tuning_.election_timeout >= std::chrono::microseconds(1));
  reset_election_deadline();
  if (is_voter(self_.id) && voters_.size() == 1) election_deadline_ = now_;  // Nobody to wait for.
}

void Raft::step(Time now, const consensus::Input& input, std::vector<consensus::Effect>& effects) {
  CHECK(now >= now_);
  now_ = now;
  effects_ = &effects;
  log_.begin_step();
  std::visit([this](const auto& alternative) { on(alternative); }, input);
  effects_ = nullptr;
}

void Raft::on(const in::Timer&) {
  if (now_ >= doubtful_deadline_) settle_doubtful(true);
  if (role_ == Role::leader) {
    on_leader_timer();
  } else if (is_voter(self_.id) && now_ >= election_deadline_) {
    start_election();
  }
}

Time Raft::next_deadline() const {
  Time due = doubtful_deadline_;
  if (role_ == Role::leader) {
    due = std::min(due, leadership_->heartbeat_due);
    if (tuning_.check_quorum && voters_.size() > 1) {
      due = std::min(due, quorum_contact() + tuning_.election_timeout);
    }
  } else if (is_voter(self_.id)) {
    due = std::min(due, election_deadline_);
  }
  return due;
}

void Raft::on(const in::Receive& input) {
  const auto payload = decode(*input.message);
  if (!payload) return trace("DropMalformed", input.from);
  const Epoch epoch = input.message->epoch;
  if (!admit_epoch(input.from, epoch, *payload)) return;
  std::visit([&](const auto& message) { handle(input.from, epoch, message); }, *payload);
}

// Brings our epoch up to the message's, or turns the message away.
bool Raft::admit_epoch(NodeId from, Epoch epoch, const Payload& payload) {
  const auto* request = std::get_if<VoteRequest>(&payload);
  const auto* reply = std::get_if<VoteReply>(&payload);
  // These name an epoch that nobody is in yet.
  if (request != nullptr && request->pre_vote) return true;
  if (reply != nullptr && reply->pre_vote && reply->granted) return true;

  if (epoch < hard_state_.epoch) {
    const WriteSeq after = hard_seq_;
    if (request != nullptr) send(from, hard_state_.epoch, VoteReply{}, after);
    // A leader of the past learns that it is one, also when our own stickiness ignored its voters.
    if (const auto* append = std::get_if<AppendRequest>(&payload)) {
      send(from, hard_state_.epoch, refuse(append->previous), after);
    }
    if (std::holds_alternative<Heartbeat>(payload)) {
      send(from, hard_state_.epoch, refuse(LogId{}), after);
    }
    return false;
  }
  if (epoch > hard_state_.epoch) {
    if (request != nullptr && (hears_leader() || !is_voter(from))) {
      trace("IgnoreVoteRequest", from);  // Dissertation 4.2.3: no disruption of a working leader.
      return false;
    }
    const bool leads = std::holds_alternative<AppendRequest>(payload) ||
                       std::holds_alternative<Heartbeat>(payload);
    become_follower(epoch, leads && is_voter(from) ? std::optional(from) : std::nullopt);
  }
  return true;
}

void Raft::on(const in::LinkUp& input) {
  links_[input.peer] = input.link;
  if (role_ == Role::leader) {
    lead_peer(input.peer);
  } else if (role_ != Role::follower && is_voter(input.peer) && !votes_.contains(input.peer)) {
    ask_for_vote(input.peer);
  }
}

void Raft::on(const in::LinkDown& input) {
  const auto link = links_.find(input.peer);
  if (link == links_.end() || link->second != input.link) return;
  links_.erase(link);
  if (role_ == Role::leader) {
    const auto peer = leadership_->peers.find(input.peer);
    if (peer == leadership_->peers.end()) return;
    peer->second.restart();
    if (!is_voter(input.peer) && !observers_.contains(input.peer)) leadership_->peers.erase(peer);
    return;
  }
  if (tuning_.link_down_is_suspicion && role_ == Role::follower && leader_ == input.peer &&
      is_voter(self_.id)) {
    leader_suspected_ = true;
    const auto jitter = static_cast<std::uint64_t>(tuning_.election_timeout.count() / 10);
    const Time due = now_ + Duration(static_cast<Duration::rep>(random_.below(jitter)));
    if (due < election_deadline_) {
      election_deadline_ = due;
      deadline_reason_ = "link_down";
    }
  }
}

void Raft::on(const in::WriteDone& input) {
  while (!unsynced_.empty() && unsynced_.front().seq <= input.up_to) {
    durable_ = unsynced_.front().last;
    unsynced_.pop_front();
  }
  if (role_ == Role::candidate && input.up_to >= hard_seq_ && !votes_.contains(self_.id)) {
    count_vote(self_.id, true);
  } else if (role_ == Role::leader) {
    advance_leader_commit();
  }
}

void Raft::on(const in::Reconfigure& input) {
  answer(input.request, Fate::rejected);
}

void Raft::on(const in::Transfer& input) {
  answer(input.request, Fate::rejected);
}

void Raft::on(const in::Resign& input) {
  if (role_ == Role::leader && hard_state_.epoch == input.epoch) give_up_leadership("resign");
}

void Raft::trace(std::string_view action, NodeId peer, std::string_view reason) {
  emit(out::Trace{action, peer, hard_state_.epoch, log_.last(), reason});
}

void Raft::send(NodeId to, Epoch epoch, const Payload& payload, WriteSeq after) {
  if (!links_.contains(to)) return;
  auto message = std::make_shared<consensus::Message>(encode(epoch, payload));
  emit(out::Send{to, std::move(message), after});
}

void Raft::save_hard_state(Epoch epoch, std::optional<ReplicaKey> vote) {
  CHECK(epoch >= hard_state_.epoch);
  hard_state_ = HardState{epoch, epoch, vote, std::nullopt};
  issued_ = issued_.next();
  hard_seq_ = issued_;
  emit(out::SaveHardState{hard_seq_, hard_state_});
}

void Raft::append(std::vector<Entry> entries) {
  if (entries.empty()) return;
  log_.append(entries);
  issued_ = issued_.next();
  log_seq_ = issued_;
  unsynced_.push_back({log_seq_, log_.last().index});
  emit(out::Append{log_seq_, std::move(entries)});
}

void Raft::truncate(LogIndex from) {
  CHECK_MSG(from > commit_, fmt::format("truncating from {} below commit {}", from, commit_));
  log_.truncate(from);
  issued_ = issued_.next();
  log_seq_ = issued_;
  // A write on its way still counts once it is done, but only for what will be left of it.
  durable_ = std::min(durable_, from.prev());
  for (Unsynced& write : unsynced_) write.last = std::min(write.last, from.prev());
  emit(out::Truncate{log_seq_, from});
}

void Raft::advance_commit(LogIndex index) {
  if (index <= commit_) return;
  CHECK(index <= log_.last().index);
  commit_ = index;
  emit(out::Commit{commit_, WriteSeq{0}});
  settle_doubtful(false);
}

// Only a committed entry tells what became of one that we proposed in an epoch that is over: an
// overwritten copy of ours may still be committed through another replica (Raft figure 8).
void Raft::settle_doubtful(bool out_of_time) {
  std::deque<Proposal> open;
  for (const Proposal& proposal : std::exchange(doubtful_, {})) {
    if (commit_ >= proposal.first.index &&
        log_.epoch_of(proposal.first.index) != proposal.first.epoch) {
      answer(proposal.request, Fate::superseded);
    } else if (commit_ >= proposal.last.index &&
               log_.epoch_of(proposal.last.index) == proposal.last.epoch) {
      answer(proposal.request, Fate::committed, proposal.last);
    } else if (commit_ >= proposal.last.index || out_of_time) {
      answer(proposal.request, Fate::unknown);  // The former: a part of it survived.
    } else {
      open.push_back(proposal);
    }
  }
  doubtful_ = std::move(open);
  if (doubtful_.empty()) doubtful_deadline_ = Time::max();
}

void Raft::set_leader(std::optional<NodeId> leader) {
  leader_ = leader;
  const std::pair known{hard_state_.epoch, leader};
  if (announced_ == known) return;
  announced_ = known;
  emit(out::LeaderKnown{hard_state_.epoch, leader});
}

void Raft::become_follower(Epoch epoch, std::optional<NodeId> leader) {
  if (role_ == Role::leader) end_leadership();
  if (epoch > hard_state_.epoch) {
    save_hard_state(epoch, std::nullopt);
    trace("UpdateTerm");
  }
  if (role_ != Role::follower) {
    role_ = Role::follower;
    trace("BecomeFollower");
    reset_election_deadline();
  }
  votes_.clear();
  set_leader(leader);
}

consensus::Status Raft::status() const {
  consensus::Status status{name_of(role_), hard_state_.epoch, leader_, commit_, log_.last(), {}};
  if (leadership_) {
    for (const auto& [id, progress] : leadership_->peers) {
      status.peers.push_back({id, progress.match(), progress.next(), progress.phase_name()});
    }
  }
  return status;
}

std::uint64_t Raft::digest() const {
  std::uint64_t state = 0;
  const auto fold = [&state](auto value) {
    state = (state ^ static_cast<std::uint64_t>(value)) * 0x9E3779B97F4A7C15u;
    state ^= state >> 32;
  };
  fold(role_);
  fold(hard_state_.epoch.value());
  fold(hard_state_.vote ? hard_state_.vote->id.value() : -1);
  fold(leader_ ? leader_->value() : -1);
  fold(commit_.value());
  fold(log_.last().epoch.value());
  fold(log_.last().index.value());
  fold(durable_.value());
  fold(issued_.value());
  fold(election_deadline_.time_since_epoch().count());
  for (const auto& [id, granted] : votes_) fold(id.value() * 2 + (granted ? 1 : 0));
  fold(doubtful_.size());
  if (leadership_) {
    fold(leadership_->round);
    fold(leadership_->uncommitted_bytes);
    for (const auto& [id, progress] : leadership_->peers) {
      fold(id.value());
      fold(progress.match().value());
      fold(progress.next().value());
      fold(progress.inflight());
    }
  }
  return state;
}

void Raft::check_invariants() const {
  const LogId last = log_.last();
  CHECK(commit_ <= last.index);
  CHECK(durable_ <= last.index);
  CHECK(last.epoch <= hard_state_.epoch);
  CHECK((role_ == Role::leader) == leadership_.has_value());
  CHECK(doubtful_.empty() == (doubtful_deadline_ == Time::max()));
  if (role_ != Role::follower) CHECK(is_voter(self_.id));
  if (!leadership_) return;
  CHECK(leader_ == self_.id);
  CHECK(last.epoch == hard_state_.epoch);
  CHECK(leadership_->activated == (commit_ >= leadership_->epoch_start));
  for (const auto& [id, progress] : leadership_->peers) {
    CHECK(progress.match() < progress.next());
    CHECK(progress.next() <= last.index.next());
    CHECK(progress.inflight() <= tuning_.inflight_messages_max);
  }
}

std::unique_ptr<consensus::Module> make_raft(consensus::ModuleContext context) {
  return std::make_unique<Raft>(std::move(context));
}

}  // namespace qlab::raft
