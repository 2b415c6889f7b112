#include "storage/recovery.h"

#include <algorithm>
#include <limits>

#include "storage/batch_scanner.h"
#include "storage/cold_reader.h"
#include "storage/kafka_files.h"
#include "storage/segment_swap.h"

namespace qlab::storage {
namespace {

// One recovery, from its first look at the directory to its last write.
class Recovery {
 public:
  Recovery(LogContext& context, LogName name, LogOptions options, DirectoryState found)
      : context_(context),
        runtime_(context.runtime),
        engine_(context.files),
        name_(std::move(name)),
        options_(options),
        found_(found),
        began_(runtime_.now()),
        phase_began_(began_) {}

  Task<Result<RecoveredLog>> run();

 private:
  // Where a scan found its first bad batch, and why it is bad.
  struct Hole {
    std::size_t segment;     // Index into log_.segments.
    std::uint64_t position;  // Of the bad batch.
    Error why;
  };

  // Zeros from `position` to the end of a segment: space that was prepared and never used.
  struct Spare {
    std::size_t segment;
    std::uint64_t position;
  };

  // Ends a phase: the time since the last call was spent in it.
  void spent_in(RecoveryPhase phase);
  Result<void> read_checkpoints();
  Result<void> list_segments();
  Result<void> drop_remains_of_reset();
  Result<void> drop_below_start();
  Task<Result<void>> open_segments();
  Task<Result<void>> scan_segments();
  Task<Result<void>> scan(std::size_t index, ScanStart start);
  Task<Result<void>> scan_with(std::size_t index, std::uint64_t from, const ColdReader& reader);
  Result<void> accept(std::size_t index, const BatchAt& batch);
  Task<Result<void>> walk(std::size_t index, BatchScanner& scanner);
  Task<Result<void>> judge(std::size_t index, Error why, const ColdReader& reader);
  Result<void> check_point(std::size_t index) const;
  Task<Result<void>> drop_spare();
  Task<Result<void>> cut();
  Task<Result<std::string>> describe_what_is_behind();
  Task<Result<void>> rewrite();
  Task<Result<void>> make_durable();
  Task<Result<void>> sync_files();
  bool is_little() const;
  Task<Result<void>> store();

  // A recovery point is written only once it is.
  bool is_directory_durable() const { return read_point_ || found_ == DirectoryState::durable; }
  // Bytes of a segment that are known to be durable.
  std::uint64_t durable_bytes(const LogSegment& segment) const;
  bool persistent() const { return engine_.is_persistent(); }

  LogContext& context_;
  runtime::Runtime& runtime_;
  Engine& engine_;
  const LogName name_;
  const std::string& directory_ = name_.partition;
  const LogOptions options_;
  const DirectoryState found_;
  const Time began_;
  Time phase_began_;

  std::optional<RecoveryPoint> read_point_;  // As the file has it.
  RecoveryPoint point_;                      // The same, or what stands for it when there is none.
  RecoveryPoint durable_;                    // The further one of point and mark.
  std::vector<Offset> bases_;                // Of the data files, sorted.
  Offset expected_;                          // Base offset of the next batch, and
  std::uint64_t position_ = 0;               // where it lies in the segment that is walked.
  bool epochs_known_ = true;                 // False when the checkpoint is no help.
  std::optional<Hole> hole_;
  std::vector<Spare> spare_;
  RecoveredLog log_;
};

Task<Result<RecoveredLog>> Recovery::run() {
  if (persistent()) {
    CO_TRY_VOID(read_checkpoints());
    const bool resetting = read_point_ && read_point_->is_resetting();
    CO_TRY_VOID(co_await finish_swaps(runtime_, engine_, directory_, resetting));
  }
  spent_in(RecoveryPhase::checkpoint);
  CO_TRY_VOID(list_segments());
  CO_TRY_VOID(drop_remains_of_reset());
  CO_TRY_VOID(drop_below_start());
  spent_in(RecoveryPhase::list);
  CO_TRY_VOID(co_await open_segments());
  spent_in(RecoveryPhase::open);
  CO_TRY_VOID(co_await scan_segments());
  CO_TRY_VOID(co_await drop_spare());
  if (hole_) CO_TRY_VOID(co_await cut());
  spent_in(RecoveryPhase::cut);
  CO_TRY_VOID(co_await rewrite());
  spent_in(RecoveryPhase::rewrite);
  CO_TRY_VOID(co_await make_durable());
  spent_in(RecoveryPhase::sync);
  CO_TRY_VOID(co_await store());
  spent_in(RecoveryPhase::store);
  log_.report.segments = log_.segments.size();
  const bool is_new = persistent() && !read_point_ && log_.point.is_empty();
  log_.report.clean = is_new && !log_.report.dropped;
  log_.report.elapsed = runtime_.now() - began_;
  co_return std::move(log_);
}

void Recovery::spent_in(RecoveryPhase phase) {
  const Time now = runtime_.now();
  log_.report.phases[static_cast<std::size_t>(phase)] += now - phase_began_;
  phase_began_ = now;
}

Result<void> Recovery::read_checkpoints() {
  TRY(read_point_, read_recovery_point(runtime_.disk(), directory_));
  TRY(log_.compacted, read_compaction_point(runtime_.disk(), directory_));
  const std::string path = path_in(directory_, epoch_checkpoint_name);
  TRY(const bool there, runtime_.disk().exists(path));
  epochs_known_ = false;
  if (there) {
    TRY(const Bytes bytes, runtime_.disk().read_file(path));
    if (auto epochs = EpochCache::decode(as_text(bytes))) {
      log_.epochs = std::move(*epochs);
      epochs_known_ = true;
    }
  }
  return {};
}

Result<void> Recovery::list_segments() {
  TRY(const std::vector<std::string> names, engine_.list(directory_));
  for (const std::string& name : names) {
    if (const auto base = base_of_data_file(name)) bases_.push_back(*base);
  }
  std::sort(bases_.begin(), bases_.end());
  // A log begins at 0, and whatever moves its start writes a recovery point first, if it can.
  const Offset first = bases_.empty() || persistent() ? Offset{0} : bases_.front();
  point_ = read_point_.value_or(RecoveryPoint{.start = first, .offset = first, .segment = first});
  durable_ = point_;
  if (persistent()) {
    TRY(const auto mark, read_durable_mark(runtime_.disk(), directory_, point_));
    if (mark) durable_ = *mark;
  }
  return {};
}

// A reset first says that no segment counts any more, then deletes them. A crash between the two
// leaves some.
Result<void> Recovery::drop_remains_of_reset() {
  if (point_.is_resetting()) {
    for (const Offset base : bases_) {
      TRY_VOID(remove_segment_files(runtime_, engine_, directory_, base));
    }
    bases_.clear();
  }
  const bool begins_here = point_.is_resetting() || !read_point_;
  // Where the first name is lost, nothing was durable, and what lies behind it is cut.
  const bool is_missing = bases_.empty() || bases_.front() != point_.start;
  if (is_missing && begins_here) bases_.insert(bases_.begin(), point_.start);
  return {};
}

// A deletion first says where the log begins, then removes the segments below. A crash between the
// two leaves some.
Result<void> Recovery::drop_below_start() {
  if (point_.is_resetting()) return {};
  const auto beyond = std::upper_bound(bases_.begin(), bases_.end(), point_.start);
  const bool has_start = beyond != bases_.begin();
  if (!has_start || !std::binary_search(bases_.begin(), bases_.end(), durable_.segment)) {
    return fail(Errc::corrupt, "{}: offsets [{}, {}) are durable, and {} is missing", directory_,
                point_.start, durable_.offset,
                segment_file_name(has_start ? durable_.segment : point_.start, data_suffix));
  }
  // The one that the point names stays even when it lies below: a crash may come before the next
  // point is written.
  const auto named = std::lower_bound(bases_.begin(), bases_.end(), point_.segment);
  const auto kept = std::min(beyond - 1, named);
  for (auto base = bases_.begin(); base < kept; ++base) {
    TRY_VOID(remove_segment_files(runtime_, engine_, directory_, *base));
  }
  bases_.erase(bases_.begin(), kept);
  return {};
}

Task<Result<void>> Recovery::open_segments() {
  for (const Offset base : bases_) {
    CO_TRY(auto segment,
           co_await open_segment(engine_, directory_, base, options_.index_interval_bytes));
    log_.segments.push_back(std::move(segment));
  }
  if (!read_point_ || point_.is_resetting()) log_.epochs.clear();
  log_.epochs.truncate_from_end(point_.offset);
  log_.epochs.truncate_from_start(point_.start);
  // Where nothing is kept on disk, nothing says how far gaps may go.
  const bool any_gap = !persistent() && compacts(options_.cleanup_policy);
  if (any_gap) log_.compacted.gaps_end = Offset{std::numeric_limits<std::int64_t>::max()};
  if (point_.is_resetting()) log_.compacted = {};
  co_return Result<void>{};
}

std::uint64_t Recovery::durable_bytes(const LogSegment& segment) const {
  if (segment.base() < durable_.segment) return segment.size();
  return segment.base() == durable_.segment ? durable_.position : 0;
}

// The index files say where the scan of each segment may begin: from its last entry on when they
// are good, from its front when they are not.
Task<Result<void>> Recovery::scan_segments() {
  const bool headers_wanted = !epochs_known_ && point_.offset > point_.start;
  for (std::size_t i = 0; i < log_.segments.size() && !hole_; ++i) {
    LogSegment& segment = *log_.segments[i];
    const bool follows = i == 0 || segment.base() == expected_;
    if (!follows) {
      const Error why{Errc::corrupt, fmt::format("{} begins where offset {} is expected",
                                                 segment.path(), expected_)};
      if (segment.base() <= durable_.segment) co_return fail(why);
      hole_ = Hole{i, 0, why};
      break;
    }
    ScanStart start{0, segment.base()};
    const bool trusted = persistent() && !headers_wanted && segment.base() <= point_.segment;
    const bool whole = segment.base() < point_.segment;
    if (trusted && !whole && segment.size() == point_.position) {
      expected_ = point_.offset;
      segment.index_later(runtime_, segment.size(), expected_);
      continue;
    }
    if (trusted) {
      const auto loaded =
          co_await segment.load_indexes(runtime_.disk(), whole ? segment.size() : point_.position,
                                        whole ? bases_[i + 1] : point_.offset);
      if (loaded) start = *loaded;
      if (!loaded && loaded.error().code == Errc::io) co_return fail(loaded.error());
    }
    spent_in(RecoveryPhase::index);
    CO_TRY_VOID(co_await scan(i, start));
    spent_in(RecoveryPhase::scan);
  }
  co_return Result<void>{};
}

Task<Result<void>> Recovery::scan(std::size_t index, ScanStart start) {
  LogSegment& segment = *log_.segments[index];
  const std::uint64_t durable = durable_bytes(segment);
  if (segment.size() < durable) {
    co_return fail(Errc::corrupt, "{} has {} bytes, and {} were durable", segment.path(),
                   segment.size(), durable);
  }
  // Above the last known sync the page cache may show what a failed sync left there.
  const bool in_doubt = segment.base() >= durable_.segment && durable < segment.size();
  if (in_doubt) CO_TRY_VOID(co_await segment.data().forget_cached());
  expected_ = start.offset;
  ColdReader reader(runtime_, segment.data());
  const bool worth_it = segment.size() - start.position >= ColdReader::bytes_min;
  if (persistent() && worth_it) CO_TRY_VOID(co_await reader.open(segment.path()));
  const Result<void> scanned = co_await scan_with(index, start.position, reader);
  const Result<void> closed = co_await reader.close();
  CO_TRY_VOID(scanned);
  co_return closed;
}

Task<Result<void>> Recovery::scan_with(std::size_t index, std::uint64_t from,
                                       const ColdReader& reader) {
  LogSegment& segment = *log_.segments[index];
  ReadAhead ahead = reader.read(from, segment.size());
  BatchScanner scanner(segment.data(), from, segment.size(), BatchCheck::checksum, ahead);
  const Result<void> walked = co_await walk(index, scanner);
  co_await ahead.close();
  log_.report.bytes_scanned += scanner.position() - from;
  if (walked || !is_bad_batch(walked.error())) co_return walked;
  co_return co_await judge(index, walked.error(), reader);
}

// To the end of the segment, or to its first bad batch; that lies at position_.
Task<Result<void>> Recovery::walk(std::size_t index, BatchScanner& scanner) {
  while (true) {
    position_ = scanner.position();
    CO_TRY_VOID(check_point(index));
    CO_TRY(const auto batch, co_await scanner.next());
    if (!batch) co_return Result<void>{};
    CO_TRY_VOID(accept(index, *batch));
  }
}

// What a bad batch means: the end of what was written, before prepared space; corruption; or the
// end of the log.
Task<Result<void>> Recovery::judge(std::size_t index, Error why, const ColdReader& reader) {
  LogSegment& segment = *log_.segments[index];
  const std::uint64_t position = position_;
  CO_TRY(const bool zeros, co_await reader.is_zero(position, segment.size()));
  const bool sealed = segment.base() < durable_.segment;
  // A segment is sealed by a durable mark in the next one before its prepared space is given back.
  const bool complete =
      sealed ? bases_[index + 1] == expected_ : position >= durable_bytes(segment);
  if (zeros && complete) {
    spare_.push_back({index, position});
    co_return Result<void>{};
  }
  const std::string where =
      fmt::format("{} at position {}: {}", segment.path(), position, why.context);
  if (position < durable_bytes(segment)) {
    co_return fail(Errc::corrupt, "{}; this was durable, so nothing is cut", where);
  }
  hole_ = Hole{index, position, Error{why.code, where}};
  co_return Result<void>{};
}

// The recovery point names a batch boundary and its offset; a scan that crosses it must agree.
Result<void> Recovery::check_point(std::size_t index) const {
  const std::uint64_t position = position_;
  for (const RecoveryPoint& known : {point_, durable_}) {
    if (log_.segments[index]->base() != known.segment || position != known.position) continue;
    if (expected_ != known.offset) {
      return fail(Errc::corrupt, "{} at position {}: offset {} follows, and {} was durable there",
                  log_.segments[index]->path(), position, expected_, known.offset);
    }
  }
  return {};
}

Result<void> Recovery::accept(std::size_t index, const BatchAt& batch) {
  const bool is_gap =
      batch.header.base_offset > expected_ && batch.header.base_offset < log_.compacted.gaps_end;
  if (batch.header.base_offset != expected_ && !is_gap) {
    return fail(Errc::corrupt, "a batch has base offset {} where {} is expected",
                batch.header.base_offset, expected_);
  }
  if (batch.header.leader_epoch < log_.epochs.latest() &&
      (!epochs_known_ || batch.header.base_offset >= point_.offset)) {
    return fail(Errc::corrupt, "the batch at offset {} has leader epoch {} after {}",
                batch.header.base_offset, batch.header.leader_epoch, log_.epochs.latest());
  }
  log_.segments[index]->note(batch);
  log_.epochs.assign(batch.header.leader_epoch, batch.header.base_offset);
  expected_ = batch.header.next_offset();
  return {};
}

Task<Result<void>> Recovery::drop_spare() {
  for (const Spare& spare : spare_) {
    CO_TRY_VOID(co_await log_.segments[spare.segment]->data().truncate(spare.position));
  }
  co_return Result<void>{};
}

// Leaves what is below the recovery point and the durable mark as it is, so both stay true.
Task<Result<void>> Recovery::cut() {
  CO_TRY(const std::string behind, co_await describe_what_is_behind());
  log_.report.dropped = fmt::format("{}; cut {} bytes that were not known to be durable{}",
                                    hole_->why.context, log_.report.bytes_truncated, behind);
  const bool hole_is_gap = log_.segments[hole_->segment]->base() != expected_ &&
                           hole_->position == 0 && hole_->segment > 0;
  const std::size_t keep = hole_->segment + (hole_is_gap ? 0 : 1);
  while (log_.segments.size() > keep) {
    CO_TRY_VOID(co_await remove_segment(runtime_, engine_, directory_, log_.segments.back()));
    log_.segments.pop_back();
  }
  if (!hole_is_gap) CO_TRY_VOID(co_await log_.segments.back()->data().truncate(hole_->position));
  co_return Result<void>{};
}

Task<Result<std::string>> Recovery::describe_what_is_behind() {
  std::uint64_t batches = 0;
  Offset last = expected_;
  log_.report.torn_tails = 1;
  for (std::size_t i = hole_->segment; i < log_.segments.size(); ++i) {
    LogSegment& segment = *log_.segments[i];
    std::uint64_t from = i == hole_->segment ? hole_->position : 0;
    log_.report.bytes_truncated += segment.size() - from;
    while (true) {
      CO_TRY(auto found, co_await find_batch(segment.data(), from, segment.size(), expected_));
      if (!found) break;
      if (found->position > from || i == hole_->segment) ++log_.report.corrupt_ranges;
      BatchScanner whole(segment.data(), found->position, segment.size(), BatchCheck::checksum);
      auto next = co_await whole.next();
      while (next && *next) {
        batches += 1;
        last = std::max(last, (*next)->header.next_offset());
        next = co_await whole.next();
      }
      if (!next && !is_bad_batch(next.error())) co_return fail(next.error());
      from = whole.position();
    }
  }
  if (batches == 0) co_return std::string{};
  co_return fmt::format(", among them {} whole batches that end at offset {}", batches, last);
}

// What the disk gave above the last known sync may be in its own cache, of which a flush failed.
// Written again, the sync that follows covers it.
Task<Result<void>> Recovery::rewrite() {
  if (!persistent()) co_return Result<void>{};
  if (!is_directory_durable()) CO_TRY_VOID(co_await make_log_directory(runtime_.disk(), name_));
  for (const auto& segment : log_.segments) {
    if (segment->base() < durable_.segment) continue;
    const std::uint64_t from = durable_bytes(*segment);
    if (from == segment->size()) continue;
    log_.report.bytes_rewritten += segment->size() - from;
    CO_TRY_VOID(co_await segment->data().rewrite(from));
  }
  co_return Result<void>{};
}

// The data first, then index files and epochs, and last the recovery point that vouches for them.
Task<Result<void>> Recovery::make_durable() {
  LogSegment& active = *log_.segments.back();
  log_.point = {.start = point_.start,
                .offset = expected_,
                .segment = active.base(),
                .position = active.size(),
                .generation = point_.generation};
  CO_TRY_VOID(co_await sync_files());
  for (const auto& segment : log_.segments) {
    segment->mark_durable(segment->size());
    if (segment != log_.segments.back()) segment->seal(runtime_);
  }
  if (is_directory_durable() || context_.shares_syncs()) co_return Result<void>{};
  co_return co_await sync_log_directory(context_, directory_);
}

// The last segment is synced even when it looks as it was closed, with the names in the directory:
// a process may have died and left a cut that only the page cache knows of.
Task<Result<void>> Recovery::sync_files() {
  if (context_.shares_syncs()) {
    CO_TRY_VOID(co_await context_.filesystem.join());
    for (const auto& segment : log_.segments) {
      Segment& data = segment->data();
      data.note_durable(segment->size());
      if (data.durable_size() < segment->size()) CO_TRY_VOID(co_await data.sync());
    }
    co_return Result<void>{};
  }
  CO_TRY_VOID(co_await log_.segments.back()->data().sync());
  for (const auto& segment : log_.segments) {
    if (segment->base() < point_.segment || segment->is_durable()) continue;
    CO_TRY_VOID(co_await segment->data().sync());
  }
  co_return Result<void>{};
}

// True when scanning it again costs less than the syncs by which that is avoided.
bool Recovery::is_little() const {
  constexpr std::uint64_t scanned_again_max = 64u << 10;
  const bool epochs_follow = epochs_known_ || point_.is_empty();
  return context_.shares_syncs() && epochs_follow && !log_.report.dropped &&
         !point_.is_resetting() && log_.report.bytes_scanned < scanned_again_max;
}

Task<Result<void>> Recovery::store() {
  const CompactionPoint compacted = log_.compacted.cut_at(expected_);
  if (persistent() && compacted != log_.compacted) {
    CO_TRY_VOID(write_compaction_point(runtime_.disk(), directory_, compacted));
  }
  log_.compacted = compacted;
  log_.stored = log_.point;
  const bool new_and_empty = !read_point_ && log_.point.is_empty();
  if (!persistent() || new_and_empty || (read_point_ == log_.point && epochs_known_)) {
    co_return Result<void>{};
  }
  if (is_little()) {
    log_.stored = point_;
    DurableMark mark;
    const bool marks = log_.point.position > 0 && context_.may_mark();
    if (marks) (void)co_await mark.note(runtime_, directory_, log_.point);
    co_return Result<void>{};
  }
  for (const auto& segment : log_.segments) {
    if (segment->base() < point_.segment) continue;
    CO_TRY_VOID(co_await segment->store_indexes(runtime_.disk()));
  }
  CO_TRY_VOID(runtime_.disk().write_file_atomically(path_in(directory_, epoch_checkpoint_name),
                                                    as_view(log_.epochs.encode())));
  co_return write_recovery_point(runtime_.disk(), directory_, log_.point);
}

}  // namespace

Task<Result<RecoveredLog>> recover(LogContext& context, LogName name, LogOptions options,
                                   DirectoryState found) {
  Recovery recovery(context, std::move(name), options, found);
  co_return co_await recovery.run();
}

}  // namespace qlab::storage
