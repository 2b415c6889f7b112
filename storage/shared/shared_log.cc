#include "storage/shared/shared_log.h"

#include <algorithm>

namespace qlab::storage::shared {
namespace {

// A call on a closed log.
template <class T>
Task<Result<T>> refuse() {
  co_return fail(Errc::closed, "the log is closed");
}

}  // namespace

// A flush covers what is written when it begins, so it is asked for once the append is.
Task<Result<AppendResult>> SharedLog::flush_after(Task<Result<AppendResult>> append) {
  const Duration interval = options_->group_interval;
  Store* const store = store_;
  Result<AppendResult> appended = co_await std::move(append);
  if (appended) store->flush_within(interval);
  co_return appended;
}

Task<Result<AppendResult>> SharedLog::append_as_leader(Bytes batches, LeaderEpoch epoch) {
  if (closed_) return refuse<AppendResult>();
  store_->prefetch(id_);
  auto append = store_->append_as_leader(id_, std::move(batches), epoch);
  if (options_->durability != Durability::group) return append;
  return flush_after(std::move(append));
}

Task<Result<AppendResult>> SharedLog::append_as_follower(Bytes batches) {
  if (closed_) return refuse<AppendResult>();
  store_->prefetch(id_);
  const bool may_have_gaps = compacts(options_->cleanup_policy);
  auto append = store_->append_as_follower(id_, std::move(batches), may_have_gaps);
  if (options_->durability != Durability::group) return append;
  return flush_after(std::move(append));
}

Task<Result<Offset>> SharedLog::sync() {
  return closed_ ? refuse<Offset>() : store_->sync(id_);
}

Task<Result<ReadResult>> SharedLog::read(Offset from, Offset limit, std::size_t bytes_max) {
  return closed_ ? refuse<ReadResult>() : store_->read(id_, from, limit, bytes_max);
}

Task<Result<std::optional<Log::TimestampOffset>>> SharedLog::find_timestamp(std::int64_t timestamp,
                                                                            Offset limit) {
  return closed_ ? refuse<std::optional<TimestampOffset>>()
                 : store_->find_timestamp(id_, timestamp, limit);
}

Task<Result<void>> SharedLog::truncate_to(Offset end) {
  return closed_ ? refuse<void>() : store_->truncate_to(id_, end);
}

Task<Result<void>> SharedLog::reset_to(Offset start) {
  return closed_ ? refuse<void>() : store_->reset_to(id_, start);
}

Task<Result<void>> SharedLog::delete_before(Offset start) {
  return closed_ ? refuse<void>() : store_->delete_before(id_, start);
}

Task<Result<RetentionOutcome>> SharedLog::apply_retention(WallMillis now, Offset limit) {
  return closed_ ? refuse<RetentionOutcome>() : store_->apply_retention(id_, *options_, now, limit);
}

Task<Result<CompactionOutcome>> SharedLog::compact(WallMillis now, Offset limit) {
  return closed_ ? refuse<CompactionOutcome>() : store_->compact(id_, *options_, now, limit);
}

EpochEnd SharedLog::end_of_epoch(LeaderEpoch epoch) const {
  EpochEnd end = stream().epochs.end_of(epoch, stream().end);
  end.end = std::max(end.end, stream().start);  // The first epoch may have begun below the start.
  return end;
}

Task<Result<void>> SharedLog::close() {
  if (closed_) co_return Result<void>{};
  closed_ = true;
  CO_TRY_VOID(co_await store_->sync(id_));
  co_return Result<void>{};
}

Task<Result<void>> SharedLog::remove() {
  closed_ = true;
  if (std::exchange(removed_, true)) co_return Result<void>{};
  co_return co_await store_->remove(id_);
}

}  // namespace qlab::storage::shared
