#include "replication/groups/group_host.h"

#include "common/check.h"
#include "consensus/message.h"
#include "runtime/trace.h"

namespace qlab::replication {
namespace {

// Of an image on its way, which holds up a compaction.
constexpr Duration compaction_pause = std::chrono::milliseconds(100);

// One part in so many of a file is for peers that lag a little.
constexpr std::size_t kept_share = 4;

}  // namespace

GroupHost::GroupHost(runtime::Runtime& runtime, storage::Engine& engine, Options options, Ways ways)
    : runtime_(runtime),
      engine_(engine),
      options_(std::move(options)),
      ways_(std::move(ways)),
      outbox_(runtime, ways_.send),
      work_(runtime),
      gate_(runtime) {}

Task<Result<void>> GroupHost::open() {
  CO_TRY(log_, co_await GroupLog::open(runtime_, engine_, options_.directory, options_.log));
  gate_.start([this] { return write_loop(); });
  arm_heartbeat();
  co_return Result<void>{};
}

Task<void> GroupHost::stop() {
  CHECK(groups_.empty());
  stopped_ = true;
  runtime_.cancel(std::exchange(heartbeat_, {}));
  outbox_.stop();
  work_.notify_all();
  co_await gate_.close();
  dirty_.clear();
  // What is not durable has not been acknowledged.
  if (log_ != nullptr) static_cast<void>(co_await log_->close());
}

// All that waits leaves at the same time, whoever said it.
void GroupHost::arm_heartbeat() {
  heartbeat_ = runtime_.call_at(runtime_.now() + options_.tuning.heartbeat_interval, [this] {
    outbox_.flush();
    arm_heartbeat();
  });
}

std::shared_ptr<Group> GroupHost::add(const GroupId& id, GroupState state, GroupOwner& owner) {
  // A compaction under way may not come by any more.
  if (compaction_ != Compaction::none) log_->begin(id, state);
  auto group = std::make_shared<Group>(*this, id, std::move(state), owner);
  CHECK(groups_.emplace(id, group).second);
  return group;
}

void GroupHost::remove(const GroupId& id, bool is_gone) {
  const auto at = groups_.find(id);
  if (at == groups_.end()) return;
  // A compaction under way does not come by: what it drops would be all that there is.
  if (!is_gone) log_->give_back(id, at->second->state());
  at->second->stop();
  if (is_gone) {
    log_->forget(id);
    wrote(*at->second);
  }
  groups_.erase(at);
}

void GroupHost::receive(NodeId from, runtime::LinkEpoch link, ByteView message) {
  auto items = decode_items(message);
  if (!items) return refuse(from, "a message that does not decode");
  for (GroupItem& item : *items) {
    const auto at = groups_.find(item.group);
    if (at == groups_.end()) continue;  // Not open here yet, or no more.
    const std::shared_ptr<Group> group = at->second;
    if (!group->has_member(from)) {
      refuse(from, "not a member of the group");
      continue;
    }
    if (item.kind != GroupItem::Kind::consensus) {
      const bool is_request = item.kind == GroupItem::Kind::records_request;
      group->on_records(from, is_request, std::move(item.body));
      continue;
    }
    auto decoded = consensus::decode(item.body);
    if (decoded) {
      group->receive(from, link, std::move(*decoded));
    } else {
      refuse(from, "a message of consensus that does not decode");
    }
  }
}

void GroupHost::refuse(NodeId from, std::string_view why) {
  ++messages_refused_;
  runtime_.trace().emit("message_refused", {{"from", from.value()}, {"why", why}});
}

void GroupHost::link_up(NodeId peer, runtime::LinkEpoch link) {
  links_[peer] = link;
  outbox_.drop(peer);
  const auto groups = groups_;
  for (const auto& [id, group] : groups) group->link_up(peer, link);
}

void GroupHost::link_down(NodeId peer, runtime::LinkEpoch link) {
  const auto at = links_.find(peer);
  if (at == links_.end() || at->second != link) return;
  links_.erase(at);
  outbox_.drop(peer);
  const auto groups = groups_;
  for (const auto& [id, group] : groups) group->link_down(peer, link);
}

GroupHost::Stats GroupHost::stats() const {
  return {outbox_.messages_sent(), outbox_.items_sent(), messages_refused_, log_->syncs(),
          compactions_};
}

std::uint64_t GroupHost::wrote(Group& group) {
  if (dirty_.empty() || dirty_.back().get() != &group) dirty_.push_back(group.shared_from_this());
  work_.notify_all();
  return ++writes_;
}

bool GroupHost::may_keep(std::size_t bytes) {
  if (bytes > keep_left_) return false;
  keep_left_ -= bytes;
  return true;
}

void GroupHost::run(Group& group, std::function<Task<void>()> task) {
  if (stopped_) return;
  gate_.start([kept = group.shared_from_this(), task = std::move(task)] { return task(); });
}

void GroupHost::give_up(Error why) {
  if (std::exchange(failed_, true)) return;
  for (const auto& [id, group] : groups_) group->stop();
  ways_.on_fatal(std::move(why));
}

Task<void> GroupHost::write_loop() {
  while (!stopped_ && !failed_) {
    if (dirty_.empty() && compaction_ != Compaction::written) {
      co_await work_.wait();
      continue;
    }
    const auto written = co_await write_once();
    if (!written && !stopped_) give_up(written.error());
  }
}

// One write and one sync for all that was put so far.
Task<Result<void>> GroupHost::write_once() {
  const std::uint64_t writes = writes_;
  const auto dirty = std::exchange(dirty_, {});
  if (compaction_ == Compaction::written) {
    CO_TRY_VOID(co_await log_->drop_old_files());
    compaction_ = Compaction::none;
    ++compactions_;
  } else {
    CO_TRY_VOID(co_await log_->flush());
  }
  for (const auto& group : dirty) group->on_flushed(writes);
  if (compaction_ == Compaction::none && log_->is_full() && !stopped_) {
    CO_TRY_VOID(co_await log_->begin_file());
    if (stopped_) co_return Result<void>{};
    compaction_ = Compaction::running;
    keep_left_ = options_.log.file_bytes / kept_share;
    gate_.start([this] { return compact(); });
  }
  co_return Result<void>{};
}

// Every group begins anew in the newest file.
Task<void> GroupHost::compact() {
  std::vector<std::shared_ptr<Group>> left;
  for (const auto& [id, group] : groups_) left.push_back(group);
  while (!left.empty() && !stopped_ && !failed_) {
    const std::shared_ptr<Group> group = std::move(left.back());
    left.pop_back();
    const auto compacted = co_await group->compact();
    if (!compacted) {
      if (!stopped_) give_up(compacted.error());
      co_return;
    }
    if (*compacted) continue;
    left.insert(left.begin(), group);
    co_await runtime::sleep_for(runtime_, compaction_pause);
  }
  compaction_ = Compaction::written;
  work_.notify_all();
}

}  // namespace qlab::replication
