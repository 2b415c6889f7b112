#include "raft/raft.h"

#include "common/check.h"
#include "consensus/config.h"
#include "consensus/quorum.h"

namespace qlab::raft {

using consensus::Entry;
using consensus::Fate;
using consensus::HardState;
using consensus::LogId;
using consensus::QuorumUse;
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
      configs_(
          context.recovery.base.members.empty() ? context.recovery.config : context.recovery.base,
          context.log.snapshot().last),
      log_(context.log),
      random_(context.random),
      started_(context.now),
      now_(context.now),
      hard_state_(context.recovery.hard_state),
      commit_(context.recovery.applied),
      durable_(context.log.last().index),
      life_(random_.next()) {
  const LogIndex image = log_.snapshot().last.index;
  for (LogIndex next = std::max(log_.first(), image.next()); next <= durable_;) {
    const auto entries = log_.read(next, tuning_.batch_bytes_max);
    note_stripped(entries);
    for (const Entry& entry : entries) {
      if (entry.kind != consensus::EntryKind::config) continue;
      configs_.append(entry.id, consensus::decode_config(*entry.body).value());
    }
    next = entries.back().id.index.next();
  }
  CHECK(commit_ <= durable_);
  CHECK(tuning_.heartbeat_interval < tuning_.election_timeout);
  CHECK(tuning_.election_timeout >= std::chrono::microseconds(1));
  reset_election_deadline();
  if (may_campaign() && is_alone(QuorumUse::elect)) election_deadline_ = now_;
}

consensus::Capabilities Raft::capabilities() const {
  return {.reads = true,
          .lease_reads = true,
          .transfer = true,
          .reconfigure = true,
          .snapshots = true,
          .joint_changes = true,
          .witnesses = true,
          .forwarding = true,
          .quorum_sizes = true,
          .weighted_quorums = true,
          .named_disks = true};
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
  if (handover_ && now_ >= handover_->deadline) end_handover(Fate::rejected, "timed_out");
  expire_questions();
  if (role_ == Role::leader) {
    on_leader_timer();
  } else if (may_campaign() && now_ >= election_deadline_) {
    start_election();
  }
}

Time Raft::next_deadline() const {
  Time due = doubtful_deadline_;
  if (handover_) due = std::min(due, handover_->deadline);
  for (const auto* questions : {&reads_asked_, &forwarded_}) {
    if (!questions->empty()) due = std::min(due, questions->begin()->second.deadline);
  }
  if (role_ == Role::leader) {
    due = std::min(due, leadership_->heartbeat_due);
    if (tuning_.check_quorum && !is_alone(QuorumUse::commit)) {
      due = std::min(due, quorum_contact() + tuning_.election_timeout);
    }
  } else if (may_campaign()) {
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

// Brings our epoch up to the message's, or turns the message away. Nobody's configuration is asked:
// a replica that does not know yet that it votes must vote, and a leader may lead one that it has
// left (dissertation 4.1, 4.2.2).
bool Raft::admit_epoch(NodeId from, Epoch epoch, const Payload& payload) {
  const auto* request = std::get_if<VoteRequest>(&payload);
  const auto* reply = std::get_if<VoteReply>(&payload);
  // These name an epoch that nobody is in yet.
  if (request != nullptr && request->pre_vote) return true;
  if (reply != nullptr && reply->pre_vote && reply->granted) return true;

  if (epoch < hard_state_.epoch) {
    refuse_stale(from, payload);
    return false;
  }
  if (epoch > hard_state_.epoch) {
    if (request != nullptr && !request->transfer && hears_leader()) {
      trace("IgnoreVoteRequest", from,
            "hears_leader");  // Dissertation 4.2.3: no disruption of a working leader.
      return false;
    }
    const bool leads = std::holds_alternative<AppendRequest>(payload) ||
                       std::holds_alternative<Heartbeat>(payload) ||
                       std::holds_alternative<SnapshotRequest>(payload);
    become_follower(epoch, leads ? std::optional(from) : std::nullopt);
  }
  return true;
}

// Whoever asks learns our epoch: a candidate, or a leader of the past, also when our own stickiness
// ignored its voters. Answers of the past say nothing any more.
void Raft::refuse_stale(NodeId from, const Payload& payload) {
  const Epoch epoch = hard_state_.epoch;
  const WriteSeq after = hard_seq_;
  if (std::holds_alternative<VoteRequest>(payload)) {
    trace("RejectStaleRequest", from, "epoch_is_over");
    return send(from, epoch, VoteReply{false, false, self_.directory}, after);
  }
  const auto* append = std::get_if<AppendRequest>(&payload);
  if (append != nullptr || std::holds_alternative<Heartbeat>(payload) ||
      std::holds_alternative<SnapshotRequest>(payload)) {
    trace("RejectStaleRequest", from, "epoch_is_over");
    return send(from, epoch, refuse(append != nullptr ? append->previous : LogId{}), after);
  }
  trace("DropStaleResponse", from);
}

void Raft::on(const in::LinkUp& input) {
  links_[input.peer] = input.link;
  if (role_ == Role::leader) {
    lead_peer(input.peer);
  } else if (role_ != Role::follower && !votes_.contains(input.peer)) {
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
    keep_peers();
    return;
  }
  if (leader_ != input.peer) return;
  end_questions();
  if (tuning_.link_down_is_suspicion && role_ == Role::follower && may_campaign()) {
    leader_suspected_ = true;
    leader_suspected_at_ = now_;
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
    count_vote(self_.id, self_.directory, true);
  } else if (role_ == Role::leader) {
    advance_leader_commit();
  }
}

void Raft::on(const in::Resign& input) {
  if (role_ == Role::leader && hard_state_.epoch == input.epoch) give_up_leadership("resign");
}

void Raft::trace(std::string_view action, NodeId peer, std::string_view reason) {
  emit(out::Trace{action, peer, hard_state_.epoch, log_.last(), reason});
}

void Raft::send(NodeId to, Epoch epoch, const Payload& payload, WriteSeq after) {
  if (!links_.contains(to)) return;
  CHECK(to != self_.id);
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
  emit(out::Append{log_seq_, entries});
  note_stripped(entries);
  note_configs(entries);
}

void Raft::truncate(LogIndex from) {
  CHECK_MSG(from > commit_, fmt::format("truncating from {} below commit {}", from, commit_));
  log_.truncate(from);
  issued_ = issued_.next();
  log_seq_ = issued_;
  // A write on its way still counts once it is done, but only for what will be left of it.
  durable_ = std::min(durable_, from.prev());
  for (Unsynced& write : unsynced_) write.last = std::min(write.last, from.prev());
  if (bare_from_ >= from) bare_from_.reset();
  emit(out::Truncate{log_seq_, from});
  if (configs_.active_at().index < from) return;
  configs_.truncate(from);
  config_changed();
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
    // An image may have taken the entry's place: then nobody can tell.
    const auto there = log_.epoch_of(proposal.first.index);
    if (commit_ >= proposal.first.index && there && there != proposal.first.epoch) {
      conclude(proposal, Fate::superseded);
    } else if (commit_ >= proposal.last.index &&
               log_.epoch_of(proposal.last.index) == proposal.last.epoch) {
      conclude(proposal, Fate::committed);
    } else if (commit_ >= proposal.last.index || out_of_time) {
      conclude(proposal, Fate::unknown);  // The former: a part of it survived.
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
  end_questions();
  if (handover_ && leader && *leader != self_.id) {
    const bool is_there = !handover_->named || *leader == handover_->to;
    end_handover(is_there ? Fate::committed : Fate::rejected, {});
  }
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
  fold(configs_.active_at().index.value());
  fold(receiving_ ? receiving_->position + 1 : 0);
  fold(installing_);
  fold(handover_.has_value());
  fold(reads_asked_.size() + (forwarded_.size() << 32));
  fold(taken_.size());
  if (leadership_) {
    fold(leadership_->round);
    fold(leadership_->uncommitted_bytes);
    fold(leadership_->reads.size());
    fold(leadership_->change ? leadership_->change->round + 1 : 0);
    for (const auto& [id, progress] : leadership_->peers) {
      fold(id.value());
      fold(progress.phase());
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
  CHECK(configs_.active_at().index <= last.index);
  CHECK((role_ == Role::leader) == leadership_.has_value());
  CHECK(doubtful_.empty() == (doubtful_deadline_ == Time::max()));
  CHECK(!forwarded_.empty() || forwarded_bytes_ == 0);
  if (!leadership_) return;
  CHECK(leader_ == self_.id);
  CHECK(last.epoch == hard_state_.epoch);
  CHECK(leadership_->activated == (commit_ >= leadership_->epoch_start));
  CHECK(!leadership_->proposals.empty() || leadership_->uncommitted_bytes == 0);
  for (const NodeId voter : consensus::voters_of(config())) {
    CHECK(voter == self_.id || leadership_->peers.contains(voter));
  }
  for (const auto& [id, progress] : leadership_->peers) {
    CHECK(id != self_.id);
    CHECK(progress.match() < progress.next());
    CHECK(progress.next() <= last.index.next());
    CHECK(progress.inflight() <= tuning_.inflight_messages_max);
  }
}

std::unique_ptr<consensus::Module> make_raft(consensus::ModuleContext context) {
  return std::make_unique<Raft>(std::move(context));
}

}  // namespace qlab::raft
