// What makes a log durable: rolls, syncs, group flushes.

#include <algorithm>

#include "storage/partition_log.h"

namespace qlab::storage {

// Begins the next segment and has the full one sealed.
Task<Result<void>> PartitionLog::roll() {
  // Not more than one segment is being sealed while the next one fills.
  { const Turnstile::Guard sealed = co_await turns().seals.enter_alone(); }
  CO_TRY_VOID(usable());
  CO_TRY(SegmentPtr next,
         co_await open_segment(engine_, directory_, end_, options_->index_interval_bytes));
  if (next->size() != 0) co_return fail(Errc::exists, "{} is there already", next->path());
  const RecoveryPoint sealed_end = end_point();
  active().seal(runtime_);
  segments_.push_back(std::move(next));
  if (persistent()) {
    background().start([this, sealed_end, cuts = cuts_] { return seal(sealed_end, cuts); });
  }
  co_return Result<void>{};
}

// Makes a full segment durable, and with it everything before, in the background.
Task<void> PartitionLog::seal(RecoveryPoint end, std::uint64_t cuts) {
  const Turnstile::Guard inside = co_await turns().structure.visit();
  const Turnstile::Guard turn = co_await turns().seals.enter_alone();
  // What ended there may be gone, and other batches there.
  if (failed_ || cuts != cuts_) co_return;
  const Result<void> synced = co_await sync_up_to(end.segment);
  if (!synced) co_return;  // The next append says why.
  durable_end_ = std::max(durable_end_, end.offset);
  // Prepared space goes before the recovery point vouches for all that is in the file.
  const Result<void> released = co_await release_up_to(end.segment);
  if (!released) co_return;
  // Without it the next recovery scans more, and the next roll or close tries again.
  [[maybe_unused]] const Result<void> advanced = co_await advance_recovery_point(end);
}

// Makes durable all segments up to the one that begins at `segment`.
// Requires: the caller is at the turnstile of the structure.
Task<Result<void>> PartitionLog::sync_up_to(Offset segment) {
  CO_TRY_VOID(usable());
  CO_TRY_VOID(check_not_lost());
  // First, because now many who begin at once can share it.
  CO_TRY_VOID(co_await sync_directory());
  std::vector<SegmentPtr> dirty;
  for (auto at = segments_.rbegin(); at != segments_.rend(); ++at) {
    if ((*at)->base() <= segment && !(*at)->is_durable()) dirty.push_back(*at);
  }
  std::reverse(dirty.begin(), dirty.end());
  for (const SegmentPtr& each : dirty) {
    const Result<std::uint64_t> durable = co_await each->data().sync();
    // What does not fit waits in the engine, and the next sync tries it again.
    if (!durable && durable.error().code == Errc::no_space) co_return fail(durable.error());
    if (!durable) co_return fail(fail_for_good(durable.error()));
    each->mark_durable(*durable);
  }
  co_return usable();
}

Task<Result<void>> PartitionLog::sync_directory() {
  if (directory_state_ != DirectoryState::made) co_return Result<void>{};
  const Result<void> synced = co_await sync_log_directory(*context_, directory_);
  if (!synced) co_return fail(fail_for_good(synced.error()));
  directory_state_ = DirectoryState::durable;
  co_return synced;
}

// Closes the files of full segments. Requires: as sync_up_to().
Task<Result<void>> PartitionLog::release_up_to(Offset segment) {
  const std::vector<SegmentPtr> segments = segments_;
  for (const SegmentPtr& each : segments) {
    const bool full = each->base() >= point_.segment && each->base() <= segment;
    if (!full) continue;
    const Result<void> released = co_await each->data().release();
    if (!released) co_return fail(fail_for_good(released.error()));
  }
  co_return Result<void>{};
}

// One sync of the file system, for this log and all others that ask meanwhile.
// Requires: as sync_up_to().
Task<Result<void>> PartitionLog::sync_together() {
  CO_TRY_VOID(usable());
  CO_TRY_VOID(check_not_lost());
  std::vector<std::pair<SegmentPtr, std::uint64_t>> covered;
  for (const SegmentPtr& segment : segments_) {
    if (!segment->is_durable()) covered.emplace_back(segment, segment->size());
  }
  const Result<void> joined = co_await context_->filesystem.join();
  if (!joined) CO_TRY_VOID(check_not_lost());
  CO_TRY_VOID(joined);
  // It was made before the first append.
  if (directory_state_ == DirectoryState::made) directory_state_ = DirectoryState::durable;
  for (const auto& [segment, size] : covered) {
    segment->data().note_durable(size);
    if (segment->data().durable_size() < size) {
      // A sync of its own has failed, when its file was to be closed, and took bytes with it.
      const Result<std::uint64_t> why = co_await segment->data().sync();
      if (!why) co_return fail(fail_for_good(why.error()));
    }
    segment->mark_durable(size);
  }
  co_return usable();
}

// A sync of the file system that fails takes the unsynced bytes of all logs with it, also of those
// that did not wait for it.
Result<void> PartitionLog::check_not_lost() {
  const SharedSync& filesystem = context_->filesystem;
  if (durable_end_ == end_ || filesystem.failures() == failures_seen_) return {};
  lost_ = true;
  return fail(fail_for_good(Error{
      Errc::io, fmt::format("a sync of the file system failed while {} held bytes that were not "
                            "durable, and nothing is written to it until it is opened anew: {}",
                            directory_, filesystem.failure().context)}));
}

Task<Result<Offset>> PartitionLog::sync() {
  CO_TRY_VOID(usable());
  if (durable_end_ == end_) co_return durable_end_;
  std::optional<Turnstile::Guard> inside = turns().structure.try_visit();
  if (!inside) inside.emplace(co_await turns().structure.visit());
  CO_TRY_VOID(usable());  // A reset that failed meanwhile has left no segment.
  const RecoveryPoint reached = end_point();
  if (context_->shares_syncs()) {
    CO_TRY_VOID(co_await sync_together());
  } else {
    CO_TRY_VOID(co_await sync_up_to(reached.segment));
  }
  durable_end_ = std::max(durable_end_, reached.offset);
  // Without it the next recovery knows less, and no harm is done. A segment without a batch was not
  // synced, so its name may be lost, and no mark may speak of it.
  if (persistent() && reached.position > 0 && mark_.is_due(runtime_.now()) &&
      context_->may_mark()) {
    [[maybe_unused]] const Result<void> noted = co_await mark_.note(runtime_, directory_, reached);
  }
  co_return durable_end_;
}

void PartitionLog::wait_for_flush() {
  if (closed_) return;
  flush_waits_ = true;
  context_->flusher.note_dirty(*this, runtime_.now() + options_->group_interval);
}

void PartitionLog::begin_flush() {
  flush_waits_ = false;
  background().start([this] { return flush(); });
}

Task<void> PartitionLog::flush() {
  const Result<Offset> synced = co_await sync();
  // Another error is for good, and the next append says why.
  const bool again = !synced && synced.error().code == Errc::no_space;
  if (again && !flush_waits_) wait_for_flush();
  context_->flusher.ended();
}

}  // namespace qlab::storage
