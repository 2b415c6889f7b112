#include "replication/groups/group.h"

#include <algorithm>

#include "common/check.h"
#include "consensus/message.h"
#include "consensus/quorum.h"
#include "replication/groups/group_codec.h"
#include "replication/groups/group_host.h"

namespace qlab::replication {

using consensus::Entry;
using consensus::Fate;
using consensus::LogId;
using consensus::WriteSeq;
namespace in = consensus::in;
namespace out = consensus::out;

namespace {

constexpr std::size_t image_bytes = 8;  // The end of the partition's log.
// Peers so close behind get entries; the others records.
constexpr std::int64_t entries_kept_max = 1000;

consensus::SnapshotMeta image_of(const GroupBase& base) {
  if (base.last.index == LogIndex{0}) return {};
  return {base.last, base.config, image_bytes};
}

}  // namespace

Group::Group(GroupHost& host, GroupId id, GroupState state, GroupOwner& owner)
    : host_(host),
      id_(id),
      owner_(owner),
      hard_(state.hard),
      base_(std::move(state.base)),
      commit_(base_.last.index),
      applied_(base_.last.index) {
  log_.reset(base_.last);
  log_.set_snapshot(image_of(base_));
  for (Entry& entry : state.entries) log_.append(std::move(entry));
  const GroupHost::Options& options = host_.options();
  module_ = options.module(
      consensus::ModuleContext{{options.self, {}},
                               options.tuning,
                               consensus::Recovery{hard_, base_.config, applied_, base_.config},
                               log_,
                               host_.runtime().random().fork(),
                               host_.runtime().now()});
}

void Group::start() {
  running_ = true;
  for (const auto& [peer, link] : host_.links()) link_up(peer, link);
  arm_timer();
}

void Group::stop() {
  running_ = false;
  host_.runtime().cancel(std::exchange(timer_, {}));
  inputs_.clear();
  held_.clear();
  blocked_.clear();
  for (auto& [request, transfer] : std::exchange(transfers_, {})) {
    transfer.set(fail(Errc::closed, "the consensus group was stopped"));
  }
}

void Group::input(consensus::Input next) {
  if (!running_) return;
  inputs_.push_back(std::move(next));
  if (stepping_) return;  // From within an effect: its turn comes.
  stepping_ = true;
  while (running_ && !inputs_.empty()) {
    const consensus::Input now = std::move(inputs_.front());
    inputs_.pop_front();
    effects_.clear();
    in_timer_ = std::holds_alternative<in::Timer>(now);
    module_->step(host_.runtime().now(), now, effects_);
    for (const consensus::Effect& effect : effects_) {
      if (!running_) break;
      std::visit([this](const auto& e) { carry_out(e); }, effect);
    }
    check_applied();
  }
  stepping_ = false;
  arm_timer();
}

void Group::arm_timer() {
  if (!running_) return;
  const Time due = module_->next_deadline();
  if (timer_ != runtime::TimerId{} && due == timer_due_) return;
  host_.runtime().cancel(std::exchange(timer_, {}));
  if (due == Time::max()) return;
  timer_due_ = due;
  timer_ = host_.runtime().call_at(due, [this] {
    timer_ = {};
    input(in::Timer{});
  });
}

void Group::receive(NodeId from, runtime::LinkEpoch link, consensus::Message message) {
  input(in::Receive{from, link.value(),
                    std::make_shared<const consensus::Message>(std::move(message))});
}

void Group::link_up(NodeId peer, runtime::LinkEpoch link) {
  links_[peer] = link;
  input(in::LinkUp{peer, link.value()});
}

void Group::link_down(NodeId peer, runtime::LinkEpoch link) {
  const auto at = links_.find(peer);
  if (at == links_.end() || at->second != link) return;
  links_.erase(at);
  input(in::LinkDown{peer, link.value()});
}

void Group::on_records(NodeId from, bool is_request, Bytes body) {
  if (running_) owner_.on_records(from, is_request, std::move(body));
}

bool Group::has_member(NodeId node) const {
  return consensus::find_member(base_.config, node) != nullptr;
}

void Group::carry_out(const out::Append& effect) {
  for (const Entry& entry : effect.entries) log_.append(entry);
  write(effect.seq, effect.entries);
}
void Group::carry_out(const out::Truncate& effect) {
  CHECK(effect.from > commit_);
  log_.truncate(effect.from);
  write(effect.seq, effect.from);
}
void Group::carry_out(const out::SaveHardState& effect) {
  hard_ = effect.state;
  write(effect.seq, effect.state);
}

void Group::write(WriteSeq seq, Write write) {
  CHECK(seq == issued_.next());
  issued_ = seq;
  if (installing_) {
    blocked_.emplace_back(seq, std::move(write));
    return;
  }
  put(write);
  written_.emplace_back(seq, host_.wrote(*this));
}

void Group::put(const Write& write) {
  GroupLog& log = host_.log();
  if (const auto* entries = std::get_if<std::vector<Entry>>(&write)) log.append(id_, *entries);
  if (const auto* from = std::get_if<LogIndex>(&write)) log.truncate(id_, *from);
  if (const auto* state = std::get_if<consensus::HardState>(&write)) log.save(id_, *state);
}

void Group::on_flushed(std::uint64_t written) {
  if (!running_) return;
  const WriteSeq before = durable_;
  while (!written_.empty() && written_.front().second <= written) {
    durable_ = written_.front().first;
    written_.pop_front();
  }
  if (durable_ == before) return;
  while (running_ && !held_.empty() && held_.begin()->first <= durable_) {
    const auto next = held_.extract(held_.begin());
    release(next.mapped());
  }
  input(in::WriteDone{durable_});
}

// The one place where a visible effect is let go or held back.
void Group::when_durable(WriteSeq after, Held effect) {
  CHECK(after <= issued_);
  if (after <= durable_) return release(effect);
  held_.emplace(after, std::move(effect));
}

void Group::release(const Held& effect) {
  if (const auto* index = std::get_if<LogIndex>(&effect)) {
    CHECK(*index > commit_);
    CHECK(*index <= log_.last().index);
    commit_ = *index;
    owner_.on_committed();
    return;
  }
  const auto& send = std::get<HeldSend>(effect);
  const auto link = links_.find(send.to);
  if (link == links_.end() || link->second != send.link) return;  // It died with its stream.
  host_.send(send.to, {id_, GroupItem::Kind::consensus, consensus::encode(*send.message)},
             send.can_wait);
}

void Group::carry_out(const out::Send& effect) {
  const auto link = links_.find(effect.to);
  if (link == links_.end()) return;
  // What a leader says because it is time to say something is a heartbeat.
  const bool can_wait = in_timer_ && leads_.has_value();
  when_durable(effect.after, HeldSend{effect.to, link->second, effect.message, can_wait});
}
void Group::carry_out(const out::Commit& effect) {
  when_durable(effect.after, effect.up_to);
}
void Group::carry_out(const out::CloseLink& effect) {
  host_.close_link(effect.peer);
}
void Group::carry_out(const out::Fatal& effect) {
  host_.give_up(Error{Errc::corrupt, std::string(effect.reason)});
}

// The fate of a proposal is seen from what is applied. One that was refused while we believe to
// lead leaves a hole in what its leader has promised: it leads no more.
void Group::carry_out(const out::Outcome& effect) {
  const auto transfer = transfers_.extract(effect.request);
  if (!transfer.empty()) {
    Result<void> result;
    if (effect.fate != Fate::committed) result = fail(Errc::not_leader, "{}", effect.reason);
    return transfer.mapped().set(std::move(result));
  }
  if (effect.fate != Fate::committed && leads_) input(in::Resign{*leads_});
}

void Group::carry_out(const out::LeaderKnown&) {
  owner_.on_leader_known();
}

void Group::carry_out(const out::Activate& effect) {
  CHECK(!activating_);
  CHECK(!leads_);
  activating_ = effect;
}

void Group::carry_out(const out::Deactivate&) {
  activating_.reset();
  if (!std::exchange(leads_, std::nullopt)) return;
  owner_.on_lead(std::nullopt);
}

void Group::check_applied() {
  if (!running_ || !activating_ || applied_ < activating_->ready_at) return;
  leads_ = std::exchange(activating_, std::nullopt)->epoch;
  owner_.on_lead(leads_);
}

std::vector<Entry> Group::next(std::size_t bytes_max) const {
  auto entries = log_.read(applied_.next(), bytes_max);
  while (!entries.empty() && entries.back().id.index > commit_) entries.pop_back();
  return entries;
}

void Group::set_applied(LogIndex up_to) {
  CHECK(up_to <= commit_);
  applied_ = up_to;
  input(in::Applied{applied_});
}

void Group::propose(std::shared_ptr<const Bytes> body, Epoch epoch) {
  requests_ = requests_.next();
  std::vector<std::shared_ptr<const Bytes>> bodies(1, std::move(body));
  input(in::Propose{requests_, std::move(bodies), epoch});
}

Task<Result<void>> Group::transfer(NodeId to) {
  if (!running_) co_return fail(Errc::closed, "the consensus group was stopped");
  requests_ = requests_.next();
  runtime::Completion<Result<void>> answer(host_.runtime().executor());
  transfers_.emplace(requests_, answer);
  input(in::Transfer{requests_, to});
  co_return co_await answer.wait();
}

void Group::carry_out(const out::ReadSnapshot& effect) {
  in::SnapshotChunk chunk{effect.for_peer, effect.snapshot, effect.position, nullptr};
  if (effect.snapshot == base_.last && effect.position <= image_bytes) {
    BytesWriter image;
    image.put(base_.end.value());
    const ByteView rest = image.view().subspan(effect.position);
    chunk.bytes = std::make_shared<const Bytes>(rest.begin(), rest.end());
  }
  input(std::move(chunk));
}

void Group::carry_out(const out::StoreSnapshot& effect) {
  if (effect.position == 0) image_.clear();
  image_.insert(image_.end(), effect.bytes->begin(), effect.bytes->end());
  write(effect.seq, std::monostate{});  // Counts for nothing until it is installed.
}

void Group::carry_out(const out::InstallSnapshot& effect) {
  CHECK(effect.meta.last.index > commit_);
  CHECK(!installing_);
  CHECK(!leads_);
  CHECK(effect.seq == issued_.next());
  issued_ = effect.seq;
  log_.install(effect.meta);
  GroupState state;
  state.hard = hard_;
  BytesReader image(image_);
  state.base = {effect.meta.last, Offset{image.get<std::int64_t>()}, effect.meta.config};
  if (!image.ok()) return host_.give_up(image.status().error());
  if (log_.last() > effect.meta.last) state.entries = log_.read(log_.first(), SIZE_MAX);
  installing_ = true;
  host_.run(*this, [this, seq = effect.seq, state] { return install(seq, state); });
}

// Nothing of the image counts before the records are here, durably; nor does what comes after it.
Task<void> Group::install(WriteSeq seq, GroupState state) {
  const auto copied = co_await owner_.catch_up(state.base.end);
  if (!running_) co_return;
  if (!copied) {
    host_.give_up(copied.error());
    co_return;
  }
  base_ = state.base;
  host_.log().begin(id_, state);
  written_.emplace_back(seq, host_.wrote(*this));
  installing_ = false;
  for (auto& [later, blocked] : std::exchange(blocked_, {})) {
    put(blocked);
    written_.emplace_back(later, host_.wrote(*this));
  }
  commit_ = std::max(commit_, base_.last.index);
  applied_ = base_.last.index;
  input(in::SnapshotInstalled{base_.last});
  input(in::Applied{applied_});
  owner_.on_committed();
}

// Of what is applied and durable: up to where the entries may go.
LogIndex Group::keep_up_to(LogIndex settled) {
  LogIndex keep = settled;
  for (const consensus::PeerStatus& peer : module_->status().peers) {
    if (settled - peer.match < entries_kept_max) keep = std::min(keep, peer.match);
  }
  keep = std::max(keep, base_.last.index);
  std::size_t bytes = 0;
  for (const Entry& entry : log_.read(keep.next(), SIZE_MAX)) {
    if (entry.id.index > settled) break;
    bytes += entry.body->size();
  }
  return host_.may_keep(bytes) ? keep : settled;
}

Task<Result<bool>> Group::compact() {
  if (!running_) co_return true;  // Its owner may be gone; remove() has seen to its state.
  CO_TRY(const GroupOwner::Settled settled, co_await owner_.settle());
  if (!running_ || installing_) co_return !running_;
  const LogIndex up_to = keep_up_to(settled.index);
  if (up_to > base_.last.index) {
    Offset end = settled.end;
    for (const Entry& entry : log_.read(up_to.next(), SIZE_MAX)) {
      if (entry.id.index > settled.index) break;
      const auto first = first_offset_of(entry);
      if (!first) continue;
      end = *first;
      break;
    }
    base_.last = {log_.epoch_of(up_to).value(), up_to};
    base_.end = end;
    log_.set_snapshot(image_of(base_));
    log_.trim(up_to.next());
    input(in::SnapshotTaken{});
  }
  host_.log().begin(id_, state());
  host_.wrote(*this);
  co_return true;
}

GroupState Group::state() const {
  return {hard_, base_, log_.read(log_.first(), SIZE_MAX)};
}

}  // namespace qlab::replication
