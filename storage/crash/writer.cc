#include "storage/crash/writer.h"

#include <algorithm>

#include "common/record_batch.h"

namespace qlab::storage {
namespace {

constexpr std::uint64_t log_bytes_max = 1u << 20;    // What every recovery has to read stays small.
constexpr std::int64_t log_bytes_kept = 256 * 1024;  // By a retention.
constexpr std::size_t together_max = 6;

Offset next_of(ByteView batch) {
  return decode_batch_header(batch).value().next_offset();
}

}  // namespace

LogOptions log_options_of(const CrashOptions& options, std::int64_t partition) {
  LogOptions log_options;
  log_options.segment_bytes = options.segment_bytes;
  log_options.index_interval_bytes = 1024;
  constexpr Durability all[] = {Durability::sync, Durability::group, Durability::none};
  log_options.durability = all[partition % 3];
  log_options.group_interval = std::chrono::milliseconds(2);
  log_options.retention_bytes = log_bytes_kept;
  return log_options;
}

LogWriter::LogWriter(Session& session, LogIdentity identity, Promises promises,
                     std::vector<Offset> bases, std::unique_ptr<Log> log)
    : session_(session),
      identity_(identity),
      promises_(std::move(promises)),
      log_options_(log_options_of(session.options, identity.partition)),
      log_(std::move(log)),
      random_(session.options.seed * 1'000'003 + static_cast<std::uint64_t>(session.number) * 101 +
              static_cast<std::uint64_t>(identity.partition)),
      change_chance_(random_.chance(0.3) ? 0.4 : 0.08),
      epoch_(first_epoch_of(session.number)),
      bases_(std::move(bases)) {}

Task<void> LogWriter::run() {
  const std::int64_t limit = session_.options.operations;
  for (std::int64_t done = 0; limit == 0 || done < limit; ++done) {
    co_await step();
    if (refused_ || wrong_ || !log_) break;
  }
  if (!log_) co_return;
  if (poisoned_) co_await prove_poisoned();
  const Offset end = log_->end();
  const auto closed = co_await log_->close();
  if (closed && poisoned_) accuse("closes well after " + poison_);
  if (closed && !wrong_ && !refused_) {
    session_.journal.say(fmt::format("acknowledged {} {}", identity_.partition, end));
  }
  log_.reset();
}

Task<void> LogWriter::step() {
  if (log_->size_bytes() > log_bytes_max) co_return co_await shrink();
  if (random_.chance(change_chance_)) co_return co_await change();
  const double drawn = random_.unit();
  if (drawn < 0.50) co_return co_await append();
  if (drawn < 0.77) co_return co_await append_together();
  if (drawn < 0.91) co_return co_await sync();
  co_return co_await read();
}

Task<void> LogWriter::change() {
  const double drawn = random_.unit();
  if (drawn < 0.40) co_return co_await cut();
  if (drawn < 0.70) co_return co_await delete_some();
  if (drawn < 0.82) co_return co_await begin_anew();
  if (drawn < 0.90) co_return co_await remove();
  co_return co_await reopen();
}

Task<void> LogWriter::shrink() {
  const double drawn = random_.unit();
  if (drawn < 0.7) co_return co_await delete_some();
  if (drawn < 0.9) co_return co_await begin_anew();
  co_return co_await remove();
}

Task<void> LogWriter::append() {
  const Offset base = log_->end();
  Bytes batch = batch_of(identity_, epoch_, base);
  const Offset next = next_of(batch);
  if (session_.options.mutant == Mutant::ack_before_append) {
    session_.journal.say(fmt::format("acknowledged {} {}", identity_.partition, next));
  }
  const auto appended = co_await log_->append_as_leader(std::move(batch), epoch_);
  if (!appended) co_return take_poison("an append", appended.error());
  if (appended->base != base || appended->next != next) {
    co_return accuse(fmt::format("appended [{}, {}) where the log ended at {}", appended->base,
                                 appended->next, base));
  }
  say_appended(base, next);
  const bool synced = log_options_.durability == Durability::sync && random_.chance(0.4);
  if (synced) co_await sync();
}

Task<void> LogWriter::append_one(Offset base, Bytes batch) {
  const Offset next = next_of(batch);
  const auto appended = co_await log_->append_as_follower(std::move(batch));
  // What follows an append that found no space does not fit any more.
  const bool behind = !appended && appended.error().code == Errc::out_of_range;
  if (behind) co_return;
  if (!appended) co_return take_poison("an append", appended.error());
  say_appended(base, next);
}

// Several appends and syncs at once.
Task<void> LogWriter::append_together() {
  runtime::Gate gate(session_.runtime);
  Offset base = log_->end();
  const std::size_t count = 1 + random_.below(together_max);
  const std::size_t sync_at = random_.below(2 * together_max);
  for (std::size_t i = 0; i < count; ++i) {
    Bytes batch = batch_of(identity_, epoch_, base);
    const Offset next = next_of(batch);
    gate.start([this, base, batch]() -> Task<void> { return append_one(base, batch); });
    if (i == sync_at || i == sync_at + 2) gate.start([this]() -> Task<void> { return sync(); });
    base = next;
  }
  co_await gate.close();
}

Task<void> LogWriter::sync() {
  const Offset end = log_->end();
  if (session_.options.mutant == Mutant::ack_before_sync) {
    session_.journal.say(fmt::format("acknowledged {} {}", identity_.partition, end));
    co_return;
  }
  const auto synced = co_await log_->sync();
  if (!synced && session_.options.mutant == Mutant::ack_failed_sync) {
    session_.journal.say(fmt::format("acknowledged {} {}", identity_.partition, end));
  }
  if (!synced) co_return take_poison("a sync", synced.error());
  if (refused_) co_return;  // Another call was told meanwhile; what it means is not asked here.
  if (*synced < end) {
    accuse(fmt::format("a sync of [..., {}) made durable [..., {})", end, *synced));
  }
  session_.journal.say(fmt::format("acknowledged {} {}", identity_.partition, *synced));
  promises_.note_acknowledged(*synced);
}

Task<void> LogWriter::read() {
  if (log_->start() == log_->end()) co_return;
  const Offset from{random_.between(log_->start().value(), log_->end().value() - 1)};
  const auto read =
      co_await read_and_compare(*log_, identity_, promises_, from, log_->end(), nullptr);
  if (!read) take("a read", read.error());
}

Task<void> LogWriter::cut() {
  if (bases_.size() < 2) co_return;
  // Mostly near the end, as a follower does that diverged.
  const std::size_t reach =
      random_.chance(0.9) ? std::min<std::size_t>(bases_.size() - 1, 12) : bases_.size() - 1;
  const std::size_t index = bases_.size() - 1 - random_.below(reach);
  const Offset end = bases_[index];
  const Offset next = index + 1 < bases_.size() ? bases_[index + 1] : log_->end();
  const Offset within{random_.between(end.value(), next.value() - 1)};
  const Fence fence{next_epoch(), end};
  promises_.begin_cut(fence);
  session_.journal.say(
      fmt::format("cut_begun {} {} {}", identity_.partition, fence.epoch, fence.end));
  const auto cut = co_await log_->truncate_to(within);
  if (!cut) co_return take("a cut", cut.error());
  if (log_->end() != end) {
    accuse(fmt::format("cut to offset {}, it ends at {} and not at {}", within, log_->end(), end));
  }
  bases_.resize(index);
  promises_.end_cut();
  session_.journal.say(
      fmt::format("cut_done {} {} {}", identity_.partition, fence.epoch, fence.end));
}

Task<void> LogWriter::delete_some() {
  const bool by_size = random_.chance(0.3);
  const Offset start{random_.between(log_->start().value(), log_->end().value())};
  const Offset start_max = by_size ? log_->end() : start;
  promises_.begin_delete(start_max);
  session_.journal.say(fmt::format("delete_begun {} {}", identity_.partition, start_max));
  if (by_size) {
    const auto outcome = co_await log_->apply_retention(session_.runtime.wall_now(), start_max);
    if (!outcome) co_return take("a retention", outcome.error());
  } else {
    const auto deleted = co_await log_->delete_before(start);
    if (!deleted) co_return take("a deletion", deleted.error());
    if (log_->start() != start) {
      accuse(fmt::format("deleted before {}, it starts at {}", start, log_->start()));
    }
  }
  promises_.end_delete(log_->start());
  session_.journal.say(fmt::format("delete_done {} {}", identity_.partition, log_->start()));
  forget_bases();
}

void LogWriter::forget_bases() {
  const auto first = std::upper_bound(bases_.begin(), bases_.end(), log_->start());
  if (first != bases_.begin()) bases_.erase(bases_.begin(), std::prev(first));
  if (log_->start() == log_->end()) bases_.clear();
}

Task<void> LogWriter::begin_anew() {
  const Fence fence{next_epoch(), log_->end().plus(random_.between(0, 1000))};
  promises_.begin_reset(fence);
  session_.journal.say(
      fmt::format("reset_begun {} {} {}", identity_.partition, fence.epoch, fence.end));
  const auto reset = co_await log_->reset_to(fence.end);
  if (!reset) co_return take("a reset", reset.error());
  if (log_->start() != fence.end || log_->end() != fence.end) {
    accuse(
        fmt::format("reset to offset {}, it is [{}, {})", fence.end, log_->start(), log_->end()));
  }
  bases_.clear();
  promises_.end_reset();
  session_.journal.say(
      fmt::format("reset_done {} {} {}", identity_.partition, fence.epoch, fence.end));
}

// The log goes, and one of another topic comes under the same name.
Task<void> LogWriter::remove() {
  session_.journal.say(fmt::format("removing {}", identity_.partition));
  const auto removed = co_await log_->remove();
  log_.reset();
  promises_.remove();
  identity_.incarnation = promises_.incarnation;
  bases_.clear();
  if (!removed) co_return take("a removal", removed.error());
  LogName name{identity_.partition_name(), identity_.topic()};
  auto opened = co_await session_.layout.open(std::move(name), log_options_);
  if (!opened) co_return take("making a log", opened.error());
  log_ = std::move(*opened);
  if (log_->start() != Offset{0} || log_->end() != Offset{0}) {
    accuse(fmt::format("a new log is [{}, {})", log_->start(), log_->end()));
  }
  promises_.create(next_epoch());
  session_.journal.say(fmt::format("created {} {}", identity_.partition, epoch_));
}

Task<void> LogWriter::reopen() {
  const Offset start = log_->start();
  const Offset end = log_->end();
  const std::optional<std::string> dropped_before = log_->recovery().dropped;
  const auto closed = co_await log_->close();
  log_.reset();
  if (!closed) co_return take("a close", closed.error());
  session_.journal.say(fmt::format("acknowledged {} {}", identity_.partition, end));
  promises_.note_acknowledged(end);
  LogName name{identity_.partition_name(), identity_.topic()};
  auto opened = co_await session_.layout.open(std::move(name), log_options_);
  if (!opened) co_return take("opening a closed log", opened.error());
  log_ = std::move(*opened);
  // A layout may tell of one recovery, at its start, for all its logs.
  const std::optional<std::string> dropped = log_->recovery().dropped;
  const bool drops = dropped && dropped != dropped_before;
  if (log_->start() != start || log_->end() != end || drops) {
    accuse(fmt::format("closed as [{}, {}), it opens as [{}, {}); dropped: {}", start, end,
                       log_->start(), log_->end(), dropped.value_or("nothing")));
  }
}

// Once a write was refused, no append and no sync may succeed, and nothing wrong may be served.
Task<void> LogWriter::prove_poisoned() {
  if (wrong_) co_return;
  const Offset base = log_->end();
  const auto appended = co_await log_->append_as_leader(batch_of(identity_, epoch_, base), epoch_);
  if (appended) accuse("an append succeeds after " + poison_);
  const auto synced = co_await log_->sync();
  if (synced) accuse("a sync succeeds after " + poison_);
  if (!promises_.resets.empty()) co_return;
  const Offset start = log_->start();
  // What a failed cut was to drop may be there or not.
  const Offset kept = std::min(log_->durable_end(), promises_.acknowledged);
  const Offset durable = promises_.cut ? kept : log_->durable_end();
  const auto read = co_await read_and_compare(*log_, identity_, promises_, start, durable, nullptr);
  if (!read && read.error().code == Errc::corrupt) accuse(read.error().message());
}

void LogWriter::say_appended(Offset base, Offset next) {
  bases_.push_back(base);
  promises_.note_appended(next);
  session_.journal.say(fmt::format("appended {} {}", identity_.partition, next));
  say_durable();
}

// A log may know by itself that more is durable: a segment was sealed, a group synced.
void LogWriter::say_durable() {
  const Offset durable = log_->durable_end();
  if (refused_ || durable <= promises_.acknowledged) return;
  promises_.note_acknowledged(durable);
  session_.journal.say(fmt::format("acknowledged {} {}", identity_.partition, durable));
}

void LogWriter::take(std::string_view act, const Error& error) {
  if (error.code == Errc::unsupported) return;  // By this layout.
  if (error.code == Errc::no_space) return;     // Nothing happened, and the log stays usable.
  if (error.code == Errc::io || refused_) {
    refused_ = true;
    return;
  }
  accuse(fmt::format("{} fails: {}", act, error.message()));
}

void LogWriter::take_poison(std::string_view act, const Error& error) {
  take(act, error);
  if (!refused_ || poisoned_) return;
  poisoned_ = true;
  poison_ = fmt::format("{}: {}", act, error.message());
}

void LogWriter::accuse(std::string words) {
  wrong_ = true;
  session_.violations.push_back(
      fmt::format("{}: {}", identity_.partition_name(), std::move(words)));
}

}  // namespace qlab::storage
