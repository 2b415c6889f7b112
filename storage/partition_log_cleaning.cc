// What becomes of old records: PartitionLog's part in deletion, retention and compaction.

#include <algorithm>

#include "common/check.h"
#include "storage/partition_log.h"
#include "storage/segment_swap.h"

namespace qlab::storage {

// A gap is believed after a crash only below gaps_end, and everything below that is durable: so no
// stale bytes behind a torn tail can pass for a batch after a gap.
Task<Result<AppendResult>> PartitionLog::write_with_gap(Bytes batches, AppendResult range) {
  CO_TRY_VOID(co_await make_ready(batches.size(), range.next));
  Segment& data = active().data();
  CHECK(active().noted_end() == data.size());
  Result<void> written = co_await data.append(std::vector<ByteView>(1, batches));
  if (!written) co_return note_written(std::move(written), batches, range);
  const Result<void> durable = co_await make_gap_durable(range.next);
  if (durable) {
    Result<AppendResult> noted = note_written({}, batches, range);
    if (noted) durable_end_ = end_;
    co_return noted;
  }
  if (durable.error().code != Errc::no_space) co_return fail(fail_for_good(durable.error()));
  const Result<void> cut = co_await data.truncate(active().noted_end());
  if (!cut) co_return fail(fail_for_good(cut.error()));
  co_return fail(durable.error());
}

Task<Result<void>> PartitionLog::make_gap_durable(Offset gaps_end) {
  const Turnstile::Guard inside = co_await turns().structure.visit();
  CO_TRY_VOID(co_await sync_up_to(active().base()));
  co_return note_compaction({compacted_.clean_end, gaps_end});
}

Result<void> PartitionLog::note_compaction(CompactionPoint point) {
  if (point == compacted_) return {};
  if (persistent()) TRY_VOID(write_compaction_point(runtime_.disk(), directory_, point));
  compacted_ = point;
  return {};
}

EpochEnd PartitionLog::end_of_epoch(LeaderEpoch epoch) const {
  EpochEnd end = epochs_.end_of(epoch, end_);
  end.end = std::max(end.end, start_);  // The first epoch may have begun below the start.
  return end;
}

Task<Result<void>> PartitionLog::delete_before(Offset start) {
  CO_TRY_VOID(usable());
  if (start > durable_end_ && start <= end_) CO_TRY_VOID(co_await sync());
  const Turnstile::Guard turn = co_await turns().appends.enter_alone();
  const Turnstile::Guard alone = co_await turns().structure.enter_alone();
  CO_TRY_VOID(usable());
  if (start > end_) {
    co_return fail(Errc::out_of_range, "{}: deletion up to offset {}, and the log ends at {}",
                   directory_, start, end_);
  }
  if (start <= start_) co_return Result<void>{};
  co_return co_await drop_before(start);
}

// Requires: the caller is alone at the turnstiles of appends and of the structure; start <= end_.
Task<Result<void>> PartitionLog::drop_before(Offset start) {
  const std::size_t gone = index_of(start);
  RecoveryPoint point = point_;
  // It may neither name a segment that goes, nor lie before the start.
  if (point.offset < start || point.segment < segments_[gone]->base()) {
    CO_TRY_VOID(co_await sync_up_to(active().base()));
    durable_end_ = end_;
    point = end_point();
    if (persistent()) CO_TRY_VOID(co_await advance_recovery_point(point));
  }
  point.start = start;
  if (persistent()) {
    const Result<void> written = write_recovery_point(runtime_.disk(), directory_, point);
    if (!written && written.error().code == Errc::no_space) co_return written;
    if (!written) co_return fail(fail_for_good(written.error()));
  }
  point_ = point;
  start_ = start;
  epochs_.truncate_from_start(start);
  if (gone > 0) removals_ += 1;
  for (std::size_t i = 0; i < gone; ++i) {
    const SegmentPtr first = segments_.front();
    const Result<void> removed = co_await remove_segment(runtime_, engine_, directory_, first);
    // What is left of it goes when the log is opened again.
    if (!removed) co_return fail(fail_for_good(removed.error()));
    segments_.erase(segments_.begin());
  }
  co_return Result<void>{};
}

Task<Result<std::vector<SegmentFacts>>> PartitionLog::facts() {
  const Turnstile::Guard inside = co_await turns().structure.visit();
  CO_TRY_VOID(usable());
  const std::vector<SegmentPtr> segments = segments_;
  std::vector<SegmentFacts> facts;
  bool is_clean = true;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const bool last = i + 1 == segments.size();
    SegmentFacts each{.base = segments[i]->base(),
                      .end = last ? std::max(end_, segments[i]->base()) : segments[i + 1]->base(),
                      .bytes = segments[i]->noted_end()};
    CO_TRY(each.max_timestamp, co_await segments[i]->find_max_timestamp());
    // Only the age of these two is ever asked for.
    const bool first_dirty = is_clean && each.end > compacted_.clean_end;
    if (first_dirty) is_clean = false;
    if (first_dirty || last) {
      CO_TRY(each.first_timestamp, co_await segments[i]->first_timestamp());
    }
    facts.push_back(each);
  }
  co_return facts;
}

Task<Result<void>> PartitionLog::roll_when_due(WallMillis now) {
  CO_TRY(const std::vector<SegmentFacts> known, co_await facts());
  if (!is_roll_due(known.back(), *options_, now)) co_return Result<void>{};
  co_return co_await roll_at(known.back().base);
}

// Rolls, unless the segment that begins at `base` is active no more.
Task<Result<void>> PartitionLog::roll_at(Offset base) {
  const Turnstile::Guard turn = co_await turns().appends.enter_alone();
  if (closed_) co_return fail(Errc::closed, "{} is closed", directory_);
  CO_TRY_VOID(usable());
  if (active().base() != base || active().noted_end() == 0) co_return Result<void>{};
  co_return co_await roll();
}

Task<Result<RetentionOutcome>> PartitionLog::apply_retention(WallMillis now, Offset limit) {
  const Turnstile::Guard turn = co_await turns().cleaning.enter_alone();
  if (closed_) co_return fail(Errc::closed, "{} is closed", directory_);
  CO_TRY_VOID(co_await roll_when_due(now));
  CO_TRY(const std::vector<SegmentFacts> known, co_await facts());
  RetentionOutcome outcome;
  outcome.start = start_;
  outcome.segments = segments_to_delete(known, *options_, now, start_, limit);
  if (outcome.segments == 0) co_return outcome;
  for (std::size_t i = 0; i < outcome.segments; ++i) outcome.bytes += known[i].bytes;
  if (outcome.segments == known.size()) CO_TRY_VOID(co_await roll_at(known.back().base));
  CO_TRY_VOID(co_await delete_before(known[outcome.segments - 1].end));
  outcome.start = start_;
  co_return outcome;
}

Task<Result<CompactionOutcome>> PartitionLog::compact(WallMillis now, Offset limit) {
  const Turnstile::Guard turn = co_await turns().cleaning.enter_alone();
  if (closed_) co_return fail(Errc::closed, "{} is closed", directory_);
  CompactionOutcome nothing;
  nothing.clean_end = compacted_.clean_end;
  if (!compacts(options_->cleanup_policy)) co_return nothing;
  CO_TRY_VOID(co_await roll_when_due(now));
  // A cut that comes from here on makes the facts untrue.
  const std::uint64_t removals = removals_;
  CO_TRY(std::vector<SegmentFacts> known, co_await facts());
  known.pop_back();
  const CompactionPlan plan = plan_compaction(known, *options_, now, compacted_.clean_end, limit);
  if (!plan.is_due) co_return nothing;
  known.resize(plan.segments);
  CO_TRY_VOID(co_await leave_to_active());
  CO_TRY_VOID(check_whole(removals));

  std::vector<SealedSegment> sealed;
  for (const SegmentFacts& each : known) {
    const std::size_t i = sealed.size();
    if (i >= segments_.size() || segments_[i]->base() != each.base) {
      co_return fail(Errc::aborted, "{}: the log was cut", directory_);
    }
    sealed.push_back({segments_[i], each});
  }
  ReadSealed read = [this, removals](SegmentPtr segment, std::uint64_t position,
                                     std::size_t count) {
    return read_sealed(std::move(segment), position, count, removals);
  };
  Cleaner cleaner(runtime_, *options_, std::move(read), std::move(sealed), plan.dirty_from);
  CO_TRY_VOID(co_await cleaner.map_keys());
  CO_TRY_VOID(co_await compact_groups(cleaner, now, removals));
  co_return cleaner.outcome();
}

// Moves the recovery point into the active segment, so that it names none that is to be replaced.
Task<Result<void>> PartitionLog::leave_to_active() {
  const Turnstile::Guard inside = co_await turns().structure.visit();
  const Turnstile::Guard turn = co_await turns().seals.enter_alone();
  CO_TRY_VOID(usable());
  const Offset base = active().base();
  const RecoveryPoint point{.start = start_,
                            .offset = base,
                            .segment = base,
                            .position = 0,
                            .generation = point_.generation};
  CO_TRY_VOID(co_await sync_up_to(base));
  durable_end_ = std::max(durable_end_, base);
  if (!persistent()) co_return Result<void>{};
  CO_TRY_VOID(runtime_.disk().sync_directory(directory_));
  co_return co_await advance_recovery_point(point);
}

Result<void> PartitionLog::check_whole(std::uint64_t removals) const {
  if (removals_ == removals && !closed_) return usable();
  return fail(Errc::aborted, "{}: the log was cut or closed", directory_);
}

Task<Result<Bytes>> PartitionLog::read_sealed(SegmentPtr segment, std::uint64_t position,
                                              std::size_t count, std::uint64_t removals) {
  const Turnstile::Guard inside = co_await turns().structure.visit();
  CO_TRY_VOID(check_whole(removals));
  co_return co_await segment->data().read(position, count);
}

// From the front on: what a tombstone deletes is gone before the tombstone is touched.
Task<Result<void>> PartitionLog::compact_groups(Cleaner& cleaner, WallMillis now,
                                                std::uint64_t removals) {
  std::size_t first = 0;
  while (true) {
    const Cleaner::Group group = cleaner.next_group(first);
    if (group.last == group.first) break;
    CO_TRY_VOID(co_await compact_group(cleaner, group, now, removals));
    first = group.last;
  }
  CO_TRY_VOID(check_whole(removals));
  co_return note_compaction({cleaner.clean_end(), compacted_.gaps_end});
}

Task<Result<void>> PartitionLog::compact_group(Cleaner& cleaner, Cleaner::Group group,
                                               WallMillis now, std::uint64_t removals) {
  std::vector<SegmentPtr> olds;
  for (std::size_t i = group.first; i < group.last; ++i) {
    olds.push_back(cleaner.segments()[i].segment);
  }
  const Offset base = olds.front()->base();
  CO_TRY(const SegmentPtr cleaned, co_await open_cleaned(runtime_, engine_, directory_, base,
                                                         options_->index_interval_bytes));
  Result<bool> changed = co_await cleaner.rewrite(group, cleaned, now);
  Result<void> done;
  if (changed && *changed) done = co_await seal_cleaned(runtime_, engine_, directory_, cleaned);
  const Result<void> closed = co_await cleaned->data().close();
  if (!changed) done = fail(changed.error());
  if (done) done = closed;
  if (done && *changed) {
    const Offset gaps_end = cleaner.segments()[group.last - 1].facts.end;
    const CompactionPoint point{compacted_.clean_end, std::max(compacted_.gaps_end, gaps_end)};
    done = check_whole(removals);
    if (done) done = note_compaction(point);
    if (done) done = co_await replace_segments(std::move(olds), removals);
    if (done) co_return done;
  }
  const Result<void> dropped = drop_cleaned(runtime_, engine_, directory_, base);
  if (!done) co_return done;
  co_return dropped;
}

// Puts the sealed segment that was written in the place of `olds`.
Task<Result<void>> PartitionLog::replace_segments(std::vector<SegmentPtr> olds,
                                                  std::uint64_t removals) {
  const Turnstile::Guard alone = co_await turns().structure.enter_alone();
  CO_TRY_VOID(check_whole(removals));
  const Result<void> replaced = co_await replace_files(std::move(olds));
  if (!replaced) co_return fail(fail_for_good(replaced.error()));
  co_return replaced;
}

// Requires: the caller is alone at the turnstile of the structure.
Task<Result<void>> PartitionLog::replace_files(std::vector<SegmentPtr> olds) {
  const Offset base = olds.front()->base();
  std::vector<Offset> bases;
  for (const SegmentPtr& old : olds) {
    CO_TRY_VOID(co_await old->data().close());
    bases.push_back(old->base());
  }
  CO_TRY_VOID(co_await swap_segments(runtime_, engine_, directory_, base, std::move(bases)));
  CO_TRY(SegmentPtr segment,
         co_await open_segment(engine_, directory_, base, options_->index_interval_bytes));
  if (persistent()) {
    // Without them the batches are walked from the front.
    [[maybe_unused]] const auto loaded =
        co_await segment->load_indexes(runtime_.disk(), segment->size(), end_);
  }
  CO_TRY_VOID(co_await segment->note_tail());
  segment->mark_durable(segment->size());
  segment->seal(runtime_);
  // The list may have grown at its end meanwhile.
  const auto at = std::find(segments_.begin(), segments_.end(), olds.front());
  CHECK(at != segments_.end());
  *at = std::move(segment);
  segments_.erase(at + 1, at + static_cast<std::ptrdiff_t>(olds.size()));
  co_return Result<void>{};
}

}  // namespace qlab::storage
