// How a log loses its end, or everything: PartitionLog's part in truncation and reset.

#include <algorithm>

#include "common/check.h"
#include "storage/kafka_files.h"
#include "storage/partition_log.h"

namespace qlab::storage {

// Says, before the log is cut, that less of it is durable: what was known no longer counts.
Result<void> PartitionLog::lower_recovery_point(RecoveryPoint point) {
  point.generation = point_.generation + 1;
  if (persistent()) TRY_VOID(write_recovery_point(runtime_.disk(), directory_, point));
  point_ = point;
  return {};
}

Task<Result<void>> PartitionLog::truncate_to(Offset end) {
  const Turnstile::Guard turn = co_await turns().appends.enter_alone();
  const Turnstile::Guard alone = co_await turns().structure.enter_alone();
  CO_TRY_VOID(usable());
  CHECK(end >= start_);
  if (end >= end_) co_return Result<void>{};
  const std::size_t index = index_of(end);
  CO_TRY(const auto found, co_await segments_[index]->find(end));
  if (!found) {
    co_return fail(Errc::corrupt, "{} does not hold offset {}", segments_[index]->path(), end);
  }
  Offset cut_end = found->header.base_offset;
  const bool may_follow_gap = cut_end < compacted_.gaps_end;
  if (may_follow_gap) {
    CO_TRY(cut_end, co_await segments_[index]->end_before(found->position));
  }
  // What is left would end before the log begins.
  if (cut_end < start_) co_return co_await reset_alone(start_);
  const Cut cut{index, found->position, cut_end};
  const Result<void> lowered = lower_for_cut(cut);
  // Nothing is cut yet, so where only space was lacking it may be tried again.
  if (!lowered && lowered.error().code == Errc::no_space) co_return lowered;
  if (!lowered) co_return fail(fail_for_good(lowered.error()));
  const Result<void> done = co_await cut_at(cut);
  if (!done) co_return fail(fail_for_good(done.error()));
  co_return done;
}

Result<void> PartitionLog::lower_for_cut(Cut cut) {
  if (cut.end >= durable_end_) return {};
  RecoveryPoint lowered = point_;
  if (cut.end < point_.offset) {
    lowered = {.start = start_,
               .offset = cut.end,
               .segment = segments_[cut.segment]->base(),
               .position = cut.position,
               .generation = 0};
  }
  TRY_VOID(lower_recovery_point(lowered));
  // Where batches go, later ones come without a gap, and were never clean.
  return note_compaction(compacted_.cut_at(cut.end));
}

Task<Result<void>> PartitionLog::cut_at(Cut cut) {
  LogSegment& segment = *segments_[cut.segment];
  cuts_ += 1;
  removals_ += 1;
  CO_TRY_VOID(co_await remove_segments_from(cut.segment + 1));
  CO_TRY_VOID(co_await segment.data().truncate(cut.position));
  segment.forget_from(cut.position, cut.end);
  epochs_.truncate_from_end(cut.end);
  end_ = cut.end;
  durable_end_ = std::min(durable_end_, cut.end);
  co_return co_await segment.note_tail();
}

// The newest first, so that what a crash leaves is a prefix of the log.
Task<Result<void>> PartitionLog::remove_segments_from(std::size_t index) {
  if (segments_.size() <= index) co_return Result<void>{};
  while (segments_.size() > index) {
    const SegmentPtr last = segments_.back();
    CO_TRY_VOID(co_await remove_segment(runtime_, engine_, directory_, last));
    segments_.pop_back();
  }
  if (persistent()) CO_TRY_VOID(runtime_.disk().sync_directory(directory_));
  co_return Result<void>{};
}

Task<Result<void>> PartitionLog::reset_to(Offset start) {
  const Turnstile::Guard turn = co_await turns().appends.enter_alone();
  const Turnstile::Guard alone = co_await turns().structure.enter_alone();
  CO_TRY_VOID(usable());
  co_return co_await reset_alone(start);
}

// Requires: the caller is alone at the turnstiles of appends and of the structure.
Task<Result<void>> PartitionLog::reset_alone(Offset start) {
  CO_TRY_VOID(co_await make_directory());
  CO_TRY_VOID(co_await sync_directory());
  const RecoveryPoint anew{.start = start,
                           .offset = start,
                           .segment = RecoveryPoint::no_segment,
                           .position = 0,
                           .generation = 0};
  const Result<void> lowered = lower_recovery_point(anew);
  // Nothing is gone yet, so where only space was lacking it may be tried again.
  if (!lowered && lowered.error().code == Errc::no_space) co_return lowered;
  if (!lowered) co_return fail(fail_for_good(lowered.error()));
  const Result<void> begun = co_await begin_anew(anew);
  if (!begun) co_return fail(fail_for_good(begun.error()));
  co_return begun;
}

Task<Result<void>> PartitionLog::begin_anew(RecoveryPoint anew) {
  const Offset start = anew.start;
  cuts_ += 1;
  removals_ += 1;
  CO_TRY_VOID(co_await remove_segments_from(0));
  // Both speak of offsets that may come again.
  CO_TRY_VOID(note_compaction({}));
  CO_TRY(SegmentPtr first,
         co_await open_segment(engine_, directory_, start, options_->index_interval_bytes));
  segments_.push_back(std::move(first));
  epochs_.clear();
  start_ = end_ = durable_end_ = start;
  if (persistent()) {
    CO_TRY_VOID(store_epochs());
    CO_TRY_VOID(runtime_.disk().sync_directory(directory_));
  }
  anew.segment = start;
  co_return lower_recovery_point(anew);
}

}  // namespace qlab::storage
