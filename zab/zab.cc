#include "zab/zab.h"

#include "common/check.h"

namespace qlab::zab {

using consensus::Entry;
using consensus::Fate;
using consensus::HardState;
using consensus::LogId;
using consensus::WriteSeq;

namespace {

Duration or_multiple(Duration chosen, const consensus::Tuning& tuning, double factor) {
  if (chosen > Duration{}) return chosen;
  return Duration(
      static_cast<Duration::rep>(static_cast<double>(tuning.election_timeout.count()) * factor));
}

}  // namespace

// The defaults keep ZooKeeper's proportion of initLimit to syncLimit, 2 to 1, and make the time in
// which a silent peer is suspected the election timeout: what the other modules detect with.
Zab::Zab(consensus::ModuleContext context, ZabOptions options)
    : self_(context.self),
      tuning_(context.tuning),
      options_(options),
      init_limit_(or_multiple(tuning_.init_limit, tuning_, 2)),
      sync_limit_(or_multiple(tuning_.sync_limit, tuning_, 1)),
      finalize_wait_(or_multiple(tuning_.finalize_wait, tuning_, 0.1)),
      log_(context.log),
      now_(context.now),
      hard_state_(context.recovery.hard_state),
      configs_({context.log.snapshot().last, context.recovery.config}, context.recovery.base),
      commit_(context.recovery.applied),
      durable_(context.log.last().index),
      notify_interval_(finalize_wait_) {
  CHECK(commit_ <= durable_);
  CHECK(tuning_.heartbeat_interval < sync_limit_);
  CHECK(finalize_wait_ > Duration{});
  CHECK(options_.counter_max > 0);
  for (const Entry& entry : log_.read(log_.first(), SIZE_MAX)) {
    if (entry.id.index > log_.snapshot().last.index) note_configs({entry});
  }
  notify_at_ = now_ + notify_interval_;
}

consensus::Capabilities Zab::capabilities() const {
  return {.needs_fifo_links = true,
          .reads = true,
          .reconfigure = true,
          .snapshots = true,
          .joint_changes = true,
          .weighted_quorums = true};
}

void Zab::step(Time now, const consensus::Input& input, std::vector<consensus::Effect>& effects) {
  CHECK(now >= now_);
  now_ = now;
  effects_ = &effects;
  log_.begin_step();
  if (!std::exchange(is_started_, true)) {
    const std::string_view objection = objection_to(configs_.logged().config);
    if (!objection.empty()) halt(objection);
    begin_round("startup");
  }
  std::visit([this](const auto& alternative) { on(alternative); }, input);
  effects_ = nullptr;
}

void Zab::on(const in::Timer&) {
  if (now_ >= doubtful_deadline_) settle_doubtful(true);
  if (leadership_) {
    on_leader_timer();
  } else if (session_) {
    on_learner_timer();
  } else {
    on_looking_timer();
  }
}

Time Zab::next_deadline() const {
  Time due = doubtful_deadline_;
  if (leadership_) {
    due = std::min(due, leadership_->ping_due);
    if (leadership_->phase != Phase::broadcast) due = std::min(due, leadership_->deadline);
    for (const auto& [peer, learner] : leadership_->learners) {
      due = std::min(due, learner.heard + limit_of(learner));
    }
    return due;
  }
  if (session_) {
    const bool serves = session_->phase == Phase::broadcast;
    return std::min(due, session_->heard + (serves ? sync_limit_ : init_limit_));
  }
  return std::min({due, finalize_at_, notify_at_});
}

void Zab::on(const in::Receive& input) {
  auto payload = decode(*input.message);
  if (!payload) return trace("DropMalformed", input.from);
  Inbound& inbound = inbound_[input.from];
  if (input.link < inbound.link) return trace("DropOldStream", input.from);
  if (input.link > inbound.link) inbound = {input.link, 0};
  check_link(input.from, input.link);
  receiving_ = input.link;
  std::visit([&](const auto& m) { handle(input.from, input.message->epoch, m); }, *payload);
}

// A session lives on one stream in each direction. On another one its end may be missing.
void Zab::check_link(NodeId from, std::uint32_t link) {
  if (session_ && session_->leader == from && session_->link.value_or(link) != link) {
    return look("new_stream");
  }
  if (!leadership_) return;
  const auto learner = leadership_->learners.find(from);
  if (learner != leadership_->learners.end() && learner->second.link != link) {
    drop_learner(from, "new_stream");
  }
}

// Our session with who leads, if the message belongs to it.
Session* Zab::session_with(NodeId from, SessionNumber number, Epoch epoch) {
  if (!session_ || session_->leader != from || session_->number != number || !session_->link) {
    trace("DropOldSession", from);
    return nullptr;
  }
  if (session_->epoch != epoch) {
    trace("DropWrongEpoch", from);
    return nullptr;
  }
  session_->heard = now_;
  return &*session_;
}

Learner* Zab::learner_of(NodeId from, SessionNumber number, Epoch epoch) {
  if (!leadership_ || !leadership_->learners.contains(from) ||
      leadership_->learners.at(from).session != number) {
    trace("DropOldSession", from);
    return nullptr;
  }
  if (!leadership_->is_epoch_fixed || leadership_->epoch != epoch) {
    trace("DropWrongEpoch", from);
    return nullptr;
  }
  Learner& learner = leadership_->learners.at(from);
  learner.heard = now_;
  return &learner;
}

void Zab::on(const in::LinkUp& input) {
  links_[input.peer] = input.link;
  configs_.begin_stream(input.peer);
  if (session_) {
    if (input.peer == session_->leader && !session_->is_asked) ask_to_follow();
    return;
  }
  notify(input.peer);
}

// As ZooKeeper's sockets do: a broken link to the leader ends the session, at once.
void Zab::on(const in::LinkDown& input) {
  const auto link = links_.find(input.peer);
  if (link == links_.end() || link->second != input.link) return;
  links_.erase(link);
  configs_.forget(input.peer);
  if (session_ && session_->leader == input.peer && session_->is_asked) return look("link_down");
  if (leadership_ && leadership_->learners.contains(input.peer)) {
    drop_learner(input.peer, "link_down");
  }
  reconsider();
}

void Zab::on(const in::WriteDone& input) {
  written_ = input.up_to;
  while (!unsynced_.empty() && unsynced_.front().seq <= input.up_to) {
    durable_ = unsynced_.front().last;
    unsynced_.pop_front();
  }
  if (!leadership_) return;
  finish_discovery_if_quorum();
  begin_service_if_quorum();
  advance_leader_commit();
}

void Zab::on(const in::Transfer& input) {
  answer(input.request, Fate::rejected, {}, "zab_has_no_transfer");
}

void Zab::on(const in::Resign& input) {
  if (leadership_ && leadership_->phase == Phase::broadcast && leadership_->epoch == input.epoch) {
    look("resign");
  }
}

void Zab::trace(std::string_view action, NodeId peer, std::string_view reason) {
  emit(out::Trace{action, peer, hard_state_.epoch, log_.last(), reason});
}

void Zab::halt(std::string_view reason) {
  emit(out::Fatal{reason});
}

void Zab::send(NodeId to, Epoch epoch, Payload payload, WriteSeq after) {
  if (!links_.contains(to)) return;
  auto message = std::make_shared<consensus::Message>(encode(epoch, std::move(payload)));
  emit(out::Send{to, std::move(message), after});
}

void Zab::save_hard_state(Epoch accepted, Epoch current) {
  CHECK(accepted >= hard_state_.epoch);
  CHECK(current >= hard_state_.synced_epoch);
  hard_state_ = HardState{accepted, current, std::nullopt, std::nullopt};
  issued_ = issued_.next();
  emit(out::SaveHardState{issued_, hard_state_});
}

void Zab::append(std::vector<Entry> entries) {
  if (entries.empty()) return;
  log_.append(entries);
  issued_ = issued_.next();
  unsynced_.push_back({issued_, log_.last().index});
  emit(out::Append{issued_, entries});
  note_configs(entries);
}

void Zab::truncate(LogIndex from) {
  CHECK(from > commit_);
  log_.truncate(from);
  issued_ = issued_.next();
  // A write on its way still counts once it is done, but only for what will be left of it.
  durable_ = std::min(durable_, from.prev());
  for (Unsynced& write : unsynced_) write.last = std::min(write.last, from.prev());
  emit(out::Truncate{issued_, from});
  if (configs_.truncate(from, log_.snapshot().last)) announce_config();
}

void Zab::advance_commit(LogIndex index) {
  if (index <= commit_) return;
  CHECK(index <= log_.last().index);
  commit_ = index;
  emit(out::Commit{commit_, WriteSeq{0}});
  settle_doubtful(false);
}

void Zab::answer(consensus::RequestId request, Fate fate, LogId at, std::string_view reason) {
  emit(out::Outcome{request, fate, at, fate == Fate::rejected ? leader_ : std::nullopt, reason});
}

// Only a committed entry tells what became of one that we proposed in an epoch that is over: though
// a later leader had us cut it, a copy elsewhere may still be committed.
void Zab::settle_doubtful(bool out_of_time) {
  std::deque<Proposed> open;
  for (const Proposed& proposed : std::exchange(doubtful_, {})) {
    if (commit_ < proposed.first.index && !out_of_time) {
      open.push_back(proposed);
      continue;
    }
    const auto first =
        commit_ >= proposed.first.index ? log_.epoch_of(proposed.first.index) : std::nullopt;
    const bool whole = commit_ >= proposed.last.index;
    if (first && first != proposed.first.epoch) {
      answer(proposed.request, Fate::superseded);
    } else if (whole && log_.epoch_of(proposed.last.index) == proposed.last.epoch) {
      answer(proposed.request, Fate::committed, proposed.last);
    } else if (whole || out_of_time) {
      answer(proposed.request, Fate::unknown);  // Of the former a part survived, or an image.
    } else {
      open.push_back(proposed);
    }
  }
  doubtful_ = std::move(open);
  if (doubtful_.empty()) doubtful_deadline_ = Time::max();
}

void Zab::set_leader(Epoch epoch, std::optional<NodeId> leader) {
  leader_ = leader;
  const std::pair known{epoch, leader};
  if (announced_ == known) return;
  announced_ = known;
  emit(out::LeaderKnown{epoch, leader});
}

void Zab::end_leadership(std::string_view reason) {
  trace("LeaderShutdown", no_node, reason);
  if (leadership_->phase == Phase::broadcast) emit(out::Deactivate{leadership_->epoch});
  for (const PendingRead& read : leadership_->reads) {
    emit(out::Outcome{read.request, Fate::rejected, {}, std::nullopt});
  }
  if (leadership_->change && leadership_->change->request) {
    answer(*leadership_->change->request, Fate::unknown);
  }
  for (const Proposed& proposed : leadership_->proposals) doubtful_.push_back(proposed);
  if (!doubtful_.empty()) doubtful_deadline_ = now_ + tuning_.election_timeout;
  leadership_.reset();
  if (leader_) set_leader(announced_->first, std::nullopt);
}

void Zab::end_session(std::string_view reason) {
  trace("LearnerShutdown", session_->leader, reason);
  session_.reset();
  if (leader_) set_leader(announced_->first, std::nullopt);
}

std::unique_ptr<consensus::Module> make_zab(consensus::ModuleContext context) {
  return std::make_unique<Zab>(std::move(context), ZabOptions{});
}

}  // namespace qlab::zab
