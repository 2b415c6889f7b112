#include "storage/partition_log.h"

#include <algorithm>
#include <limits>

#include "common/check.h"
#include "storage/directory_removal.h"
#include "storage/kafka_files.h"

namespace qlab::storage {
namespace {

// Indexes hold offsets relative to their segment's base in 31 bits.
constexpr std::int64_t relative_offset_max = std::numeric_limits<std::int32_t>::max();

// The header at the front of whole batches whose checksums were looked at before: the payload is
// not touched.
Result<BatchHeader> front_header(ByteView batches) {
  Result<BatchHeader> header = decode_batch_header(batches);
  if (header && header->total_bytes() > batches.size()) {
    header = fail(Errc::invalid, "an append ends within its last batch");
  }
  return header;
}

}  // namespace

PartitionLog::PartitionLog(std::shared_ptr<LogContext> context, LogName name, LogOptions options,
                           RecoveredLog recovered)
    : context_(std::move(context)),
      runtime_(context_->runtime),
      engine_(context_->files),
      directory_(std::move(name.partition)),
      options_(options),
      topic_(name.topic),
      report_(recovered.report.clean ? nullptr
                                     : std::make_unique<const RecoveryReport>(recovered.report)),
      segments_(std::move(recovered.segments)),
      epochs_(std::move(recovered.epochs)),
      start_(recovered.point.start),
      end_(recovered.point.offset),
      durable_end_(recovered.point.offset),
      point_(recovered.point),
      compacted_(recovered.compacted),
      cleaning_(runtime_),
      appends_(runtime_),
      structure_(runtime_),
      seals_(runtime_) {
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
  if (!failed_) failed_ = std::move(why);
  return *failed_;
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

Task<Result<AppendResult>> PartitionLog::append_as_leader(Bytes batches, LeaderEpoch epoch) {
  std::optional<Turnstile::Guard> turn = appends_.try_enter_alone();
  if (!turn) turn.emplace(co_await appends_.enter_alone());
  CO_TRY(const AppendResult range, stamp(batches, epoch));
  std::optional<Result<AppendResult>> written = try_write(batches, range);
  if (written) co_return std::move(*written);
  co_return co_await write(std::move(batches), range);
}

Task<Result<AppendResult>> PartitionLog::append_as_follower(Bytes batches) {
  std::optional<Turnstile::Guard> turn = appends_.try_enter_alone();
  if (!turn) turn.emplace(co_await appends_.enter_alone());
  bool has_gap = false;
  CO_TRY(const AppendResult range, check_stamps(batches, has_gap));
  if (has_gap) co_return co_await write_with_gap(std::move(batches), range);
  std::optional<Result<AppendResult>> written = try_write(batches, range);
  if (written) co_return std::move(*written);
  co_return co_await write(std::move(batches), range);
}

// Gives the batches the next offsets and the epoch, in place.
Result<AppendResult> PartitionLog::stamp(std::span<std::byte> batches, LeaderEpoch epoch) const {
  TRY_VOID(usable());
  if (epoch < epochs_.latest()) {
    return fail(Errc::fenced, "{}: an append in leader epoch {} after {}", directory_, epoch,
                epochs_.latest());
  }
  Offset next = end_;
  while (!batches.empty()) {
    const Result<BatchHeader> header = front_header(batches);
    if (!header) return fail(header.error());
    stamp_batch(batches, next, epoch);
    next = next.plus(header->last_offset_delta).next();
    batches = batches.subspan(header->total_bytes());
  }
  return range_to(next);
}

// Checks that the batches have the next offsets, or later ones where there may be gaps, in epochs
// that do not fall.
Result<AppendResult> PartitionLog::check_stamps(ByteView batches, bool& has_gap) const {
  TRY_VOID(usable());
  Offset next = end_;
  LeaderEpoch epoch = epochs_.latest();
  while (!batches.empty()) {
    TRY(const BatchHeader header, front_header(batches));
    const bool is_gap = header.base_offset > next && compacts(options_.cleanup_policy);
    has_gap = has_gap || is_gap;
    if (header.base_offset != next && !is_gap) {
      return fail(Errc::out_of_range, "{}: a batch begins at offset {} where {} is expected",
                  directory_, header.base_offset, next);
    }
    if (header.leader_epoch < epoch) {
      return fail(Errc::fenced, "{}: the batch at offset {} has leader epoch {} after {}",
                  directory_, next, header.leader_epoch, epoch);
    }
    next = header.next_offset();
    epoch = header.leader_epoch;
    batches = batches.subspan(header.total_bytes());
  }
  return range_to(next);
}

// What an append up to `next` takes of the log's offsets.
Result<AppendResult> PartitionLog::range_to(Offset next) const {
  if (next == end_) return fail(Errc::invalid, "an append holds no batch");
  if (next - end_ > relative_offset_max) {
    return fail(Errc::invalid, "{}: an append spans offsets {} to {}, and at most {} fit",
                directory_, end_, next, relative_offset_max);
  }
  return AppendResult{end_, next};
}

std::optional<Result<AppendResult>> PartitionLog::try_write(ByteView batches, AppendResult range) {
  if (is_full_for(batches.size(), range.next) || !active().is_indexed()) return std::nullopt;
  CHECK(active().noted_end() == active().size());
  std::optional<Result<void>> written = active().data().try_append(batches);
  if (!written) return std::nullopt;
  return note_written(std::move(*written), batches, range);
}

Task<Result<AppendResult>> PartitionLog::write(Bytes batches, AppendResult range) {
  const bool full = is_full_for(batches.size(), range.next);
  if (full) {
    const Result<void> rolled = co_await roll();
    const bool for_good = !rolled && rolled.error().code == Errc::io;
    if (for_good) co_return fail(fail_for_good(rolled.error()));
    if (!rolled) co_return fail(rolled.error());
  }
  if (!active().is_indexed()) {
    const Result<void> indexed = co_await active().index();
    const bool for_good = !indexed && indexed.error().code == Errc::io;
    if (for_good) co_return fail(fail_for_good(indexed.error()));
    if (!indexed) co_return fail(indexed.error());
  }
  CHECK(active().noted_end() == active().size());
  Result<void> written = co_await active().data().append(std::vector<ByteView>(1, batches));
  co_return note_written(std::move(written), batches, range);
}

// Indexes what was written, or poisons the log.
Result<AppendResult> PartitionLog::note_written(Result<void> written, ByteView batches,
                                                AppendResult range) {
  if (!written) {
    if (written.error().code == Errc::no_space) return fail(std::move(written).error());
    return fail(fail_for_good(std::move(written).error()));
  }
  if (durable_end_ == end_) failures_seen_ = context_->filesystem.failures();
  LogSegment& segment = active();
  while (!batches.empty()) {
    // Not copied: a load of what was just stored piecemeal waits for every store before it, and
    // those of the batch itself may still be on their way to memory.
    const Result<BatchHeader> header = decode_batch_header(batches);
    CHECK(header.has_value());
    segment.note(segment.noted_end(), *header);
    epochs_.assign(header->leader_epoch, header->base_offset);
    batches = batches.subspan(header->total_bytes());
  }
  end_ = range.next;
  const bool is_group = options_.durability == Durability::group;
  if (is_group && !flush_waits_) wait_for_flush();
  return range;
}

bool PartitionLog::is_full_for(std::size_t bytes, Offset next) const {
  if (active().noted_end() == 0) return false;
  return active().noted_end() + bytes > options_.segment_bytes ||
         next - active().base() > relative_offset_max;
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
  const Turnstile::Guard no_cleaning = co_await cleaning_.enter_alone();
  if (background_) co_await background_->close();
}

Task<Result<void>> PartitionLog::close() {
  if (closed_) co_return Result<void>{};
  co_await end_background();
  // Reads that are under way end before their files do; those that come later see closed_.
  const Turnstile::Guard alone = co_await structure_.enter_alone();
  Result<void> result = usable();
  if (result && end_point() != point_) {
    result = co_await sync_up_to(active().base());
    if (result && persistent()) result = co_await advance_recovery_point(end_point());
  }
  const Result<void> closed = co_await close_files();
  if (!result) co_return result;
  if (closed && persistent()) context_->closed.add(directory_, state_when_closed());
  co_return closed;
}

ClosedLog PartitionLog::state_when_closed() const {
  ClosedLog state{
      .topic = topic_, .point = point_, .compacted = compacted_, .segments = {}, .epochs = epochs_};
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
  const Turnstile::Guard alone = co_await structure_.enter_alone();  // As in close().
  CO_TRY_VOID(co_await close_files());
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
