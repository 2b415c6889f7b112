#include "storage/partition_log.h"

#include <algorithm>

#include "common/check.h"
#include "storage/directory_removal.h"
#include "storage/kafka_files.h"

namespace qlab::storage {

PartitionLog::PartitionLog(std::shared_ptr<LogContext> context, LogName name, LogOptions options,
                           RecoveredLog recovered)
    : context_(std::move(context)),
      runtime_(context_->runtime),
      engine_(context_->files),
      directory_(std::move(name.partition)),
      options_(context_->share(options)),
      topic_(name.topic),
      directory_state_(recovered.directory),
      report_(recovered.report.clean ? nullptr
                                     : std::make_unique<const RecoveryReport>(recovered.report)),
      segments_(std::move(recovered.segments)),
      epochs_(std::move(recovered.epochs)),
      start_(recovered.point.start),
      end_(recovered.point.offset),
      durable_end_(recovered.point.offset),
      point_(recovered.stored),
      compacted_(recovered.compacted) {
  CHECK(!segments_.empty());
}

PartitionLog::~PartitionLog() {
  if (flush_waits_) context_->flusher.forget(*this);
}

const RecoveryReport& PartitionLog::recovery() const {
  static const RecoveryReport clean = [] {
    RecoveryReport report;
    report.clean = true;
    return report;
  }();
  return report_ ? *report_ : clean;
}

Error PartitionLog::fail_for_good(Error why) {
  // no_space would say that the log goes on.
  if (why.code == Errc::no_space) why = Error{Errc::io, why.message()};
  if (!failed_) failed_ = std::make_unique<const Error>(std::move(why));
  return *failed_;
}

PartitionLog::Turns& PartitionLog::turns() {
  if (!turns_) turns_ = std::make_unique<Turns>(runtime_);
  return *turns_;
}

runtime::Gate& PartitionLog::background() {
  if (!background_) background_ = std::make_unique<runtime::Gate>(runtime_);
  return *background_;
}

Result<void> PartitionLog::usable() const {
  if (failed_) return fail(*failed_);
  return {};
}

std::size_t PartitionLog::index_of(Offset offset) const {
  const auto beyond = std::upper_bound(
      segments_.begin(), segments_.end(), offset,
      [](Offset wanted, const SegmentPtr& segment) { return wanted < segment->base(); });
  CHECK(beyond != segments_.begin());
  return static_cast<std::size_t>(beyond - segments_.begin()) - 1;
}

RecoveryPoint PartitionLog::end_point() const {
  return {.start = start_,
          .offset = end_,
          .segment = active().base(),
          .position = active().noted_end(),
          .generation = point_.generation};
}

std::uint64_t PartitionLog::size_bytes() const {
  std::uint64_t bytes = 0;
  for (const SegmentPtr& segment : segments_) bytes += segment->noted_end();
  return bytes;
}

// Requires: everything below `point` is durable.
Task<Result<void>> PartitionLog::advance_recovery_point(RecoveryPoint point) {
  const bool further = point.offset > point_.offset ||
                       (point.offset == point_.offset && point.segment > point_.segment);
  if (!further) co_return Result<void>{};
  point.start = start_;  // A deletion may have come since it was drawn up.
  const std::vector<SegmentPtr> segments = segments_;
  for (const SegmentPtr& segment : segments) {
    const bool covered = segment->base() >= point_.segment && segment->base() <= point.segment;
    if (covered) CO_TRY_VOID(co_await segment->store_indexes(runtime_.disk()));
  }
  CO_TRY_VOID(store_epochs());
  CO_TRY_VOID(write_recovery_point(runtime_.disk(), directory_, point));
  point_ = point;
  co_return Result<void>{};
}

Result<void> PartitionLog::store_epochs() {
  return runtime_.disk().write_file_atomically(path_in(directory_, epoch_checkpoint_name),
                                               as_view(epochs_.encode()));
}

// A compaction that is under way sees closed_ and ends; it may roll until then, which is why it is
// joined first.
Task<void> PartitionLog::end_background() {
  closed_ = true;
  if (std::exchange(flush_waits_, false)) context_->flusher.forget(*this);
  const Turnstile::Guard no_cleaning = co_await turns().cleaning.enter_alone();
  if (background_) co_await background_->close();
}

Task<Result<void>> PartitionLog::close() {
  if (closed_) co_return Result<void>{};
  co_await end_background();
  // Reads that are under way end before their files do; those that come later see closed_.
  const Turnstile::Guard alone = co_await turns().structure.enter_alone();
  Result<void> result = usable();
  if (result && end_point() != point_) {
    result = co_await sync_up_to(active().base());
    if (result && persistent()) result = co_await advance_recovery_point(end_point());
  }
  const Result<void> closed = co_await close_files();
  if (!result) co_return result;
  // A directory that was made for an append that failed is looked at again.
  const bool is_known = persistent() && directory_state_ != DirectoryState::made;
  if (closed && is_known) context_->closed.add(directory_, state_when_closed());
  co_return closed;
}

ClosedLog PartitionLog::state_when_closed() const {
  ClosedLog state{
      .topic = topic_, .point = point_, .compacted = compacted_, .segments = {}, .epochs = epochs_};
  if (directory_state_ == DirectoryState::none) return state;
  for (const SegmentPtr& segment : segments_) {
    state.segments.push_back({segment->base(), segment->noted_end()});
  }
  return state;
}

Task<Result<void>> PartitionLog::close_files() {
  fail_for_good(Error{Errc::closed, fmt::format("{} is closed", directory_)});
  Result<void> result;
  for (const SegmentPtr& segment : segments_) {
    const Result<void> closed = co_await segment->data().close();
    if (result) result = closed;
  }
  co_return result;
}

Task<Result<void>> PartitionLog::remove() {
  co_await end_background();
  context_->closed.take(directory_);  // What close() has said of it.
  const Turnstile::Guard alone = co_await turns().structure.enter_alone();  // As in close().
  CO_TRY_VOID(co_await close_files());
  if (directory_state_ == DirectoryState::none) {
    // A first append may have failed half-way.
    co_return remove_directory(runtime_.disk(), directory_);
  }
  std::string aside = directory_;
  if (persistent()) {
    CO_TRY(aside, set_aside(runtime_.disk(), directory_));
  }
  for (const SegmentPtr& segment : segments_) {
    CO_TRY_VOID(remove_segment_files(runtime_, engine_, aside, segment->base()));
  }
  if (persistent()) CO_TRY_VOID(runtime_.disk().remove_all(aside));
  co_return Result<void>{};
}

}  // namespace qlab::storage
