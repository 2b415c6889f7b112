#pragma once
// The log over one segment file at a time, per partition: Log's implementation.
//
// Two turnstiles order what may overlap: writes come one at a time, each with the appends that came
// during the one before; reads, syncs and the sealing
// of full segments visit the list of segments, and whoever cuts it is alone there.

#include <list>
#include <memory>
#include <string>
#include <vector>

#include "runtime/async.h"
#include "storage/checkpoint.h"
#include "storage/cleaner.h"
#include "storage/compaction_point.h"
#include "storage/epoch_cache.h"
#include "storage/layout.h"
#include "storage/log.h"
#include "storage/log_context.h"
#include "storage/log_segment.h"
#include "storage/recovery.h"
#include "storage/turnstile.h"

namespace qlab::storage {

class PartitionLog final : public Log, private Flushable {
 public:
  PartitionLog(std::shared_ptr<LogContext> context, LogName name, LogOptions options,
               RecoveredLog recovered);
  ~PartitionLog() override;

  Task<Result<AppendResult>> append_as_leader(Bytes batches, LeaderEpoch epoch) override;
  Task<Result<AppendResult>> append_as_follower(Bytes batches) override;
  Task<Result<Offset>> sync() override;
  Task<Result<ReadResult>> read(Offset from, Offset limit, std::size_t bytes_max) override;
  Task<Result<std::optional<TimestampOffset>>> find_timestamp(std::int64_t timestamp,
                                                              Offset limit) override;
  Task<Result<void>> truncate_to(Offset end) override;
  Task<Result<void>> reset_to(Offset start) override;
  Task<Result<void>> delete_before(Offset start) override;
  Task<Result<RetentionOutcome>> apply_retention(WallMillis now, Offset limit) override;
  Task<Result<CompactionOutcome>> compact(WallMillis now, Offset limit) override;
  Task<Result<void>> close() override;
  Task<Result<void>> remove() override;

  EpochEnd end_of_epoch(LeaderEpoch epoch) const override;
  LeaderEpoch latest_epoch() const override { return epochs_.latest(); }
  Offset start() const override { return start_; }
  Offset end() const override { return end_; }
  Offset durable_end() const override { return durable_end_; }
  std::uint64_t size_bytes() const override;
  const RecoveryReport& recovery() const override;

 private:
  using SegmentPtr = std::shared_ptr<LogSegment>;
  // Who waits for whom.
  struct Turns {
    explicit Turns(runtime::Runtime& r) : cleaning(r), appends(r), structure(r), seals(r) {}
    Turnstile cleaning;  // One retention or compaction at a time. Taken before all others.
    Turnstile appends;
    Turnstile structure;  // Taken after appends, by whoever takes both.
    Turnstile seals;      // Segments are sealed in their order. Taken after structure.
  };

  // Where the next batch belongs, and what was seen on the way there.
  struct Front {
    Offset next;
    LeaderEpoch epoch;     // The latest one.
    bool has_gap = false;  // Before a batch.
  };
  struct Append;

  Task<Result<AppendResult>> append(Bytes batches, std::optional<LeaderEpoch> epoch);
  Task<Result<AppendResult>> append_in_group(Bytes batches, std::optional<LeaderEpoch> epoch);
  Task<void> write_group();
  std::vector<Append*> take_group();
  Task<Result<void>> make_ready(std::size_t bytes, Offset next);
  Front front() const { return {.next = end_, .epoch = epochs_.latest()}; }
  // The offsets of batches that come at `front`, which moves behind them. With an epoch they are
  // stamped, without one they are checked.
  Result<AppendResult> place(std::span<std::byte> batches, std::optional<LeaderEpoch> epoch,
                             Front& front) const;
  Result<void> stamp(std::span<std::byte> batches, LeaderEpoch epoch, Front& front) const;
  Result<void> check_stamps(ByteView batches, Front& front) const;
  // Writes within the call where nothing need be waited for; nothing when something must be.
  std::optional<Result<AppendResult>> try_write(ByteView batches, AppendResult range);
  // Makes the log's directory, when it has none.
  Task<Result<void>> make_directory();
  // Makes it durable, before anything in it is called so.
  Task<Result<void>> sync_directory();
  Task<Result<AppendResult>> write_with_gap(Bytes batches, AppendResult range);
  Task<Result<void>> make_gap_durable(Offset gaps_end);
  Result<AppendResult> note_written(Result<void> written, ByteView batches, AppendResult range);
  bool is_full_for(std::uint64_t filled, std::size_t bytes, Offset next) const;
  Task<Result<void>> roll();
  Task<void> seal(RecoveryPoint end, std::uint64_t removals);
  Task<Result<void>> sync_up_to(Offset segment);
  Task<Result<void>> release_up_to(Offset segment);
  Task<Result<void>> sync_together();
  Result<void> check_not_lost();
  void wait_for_flush();
  void begin_flush() override;
  Task<void> flush();
  Task<Result<void>> advance_recovery_point(RecoveryPoint point);
  // Where the log is to end.
  struct Cut {
    std::size_t segment;     // Index of the last segment that stays, and
    std::uint64_t position;  // what stays of it.
    Offset end;              // One past the last record that stays.
  };
  Result<void> lower_for_cut(Cut cut);
  Task<Result<void>> cut_at(Cut cut);
  Task<Result<void>> reset_alone(Offset start);
  Task<Result<void>> begin_anew(RecoveryPoint anew);
  Task<Result<void>> remove_segments_from(std::size_t index);
  Task<Result<ReadResult>> read_segment(SegmentPtr segment, Offset from, Offset limit,
                                        std::size_t bytes_max);
  Task<Result<std::optional<TimestampOffset>>> find_in_segment(SegmentPtr segment,
                                                               std::int64_t timestamp,
                                                               Offset limit);
  Task<void> end_background();
  Task<Result<void>> close_files();
  ClosedLog state_when_closed() const;

  // Of the segments, the active one last.
  Task<Result<std::vector<SegmentFacts>>> facts();
  Task<Result<void>> roll_when_due(WallMillis now);
  Task<Result<void>> roll_at(Offset base);
  Task<Result<void>> drop_before(Offset start);
  Task<Result<void>> leave_to_active();
  Task<Result<Bytes>> read_sealed(SegmentPtr segment, std::uint64_t position, std::size_t count,
                                  std::uint64_t removals);
  Task<Result<void>> compact_groups(Cleaner& cleaner, WallMillis now, std::uint64_t removals);
  Task<Result<void>> compact_group(Cleaner& cleaner, Cleaner::Group group, WallMillis now,
                                   std::uint64_t removals);
  Task<Result<void>> replace_segments(std::vector<SegmentPtr> olds, std::uint64_t removals);
  Task<Result<void>> replace_files(std::vector<SegmentPtr> olds);
  Result<void> check_whole(std::uint64_t removals) const;
  Result<void> note_compaction(CompactionPoint point);

  Error fail_for_good(Error why);
  Result<void> lower_recovery_point(RecoveryPoint point);
  Result<void> store_epochs();
  std::size_t index_of(Offset offset) const;  // Of the segment that holds, or would hold, `offset`.
  LogSegment& active() const { return *segments_.back(); }
  RecoveryPoint end_point() const;
  Result<void> usable() const;
  Turns& turns();
  runtime::Gate& background();
  bool persistent() const { return engine_.is_persistent(); }

  const std::shared_ptr<LogContext> context_;
  runtime::Runtime& runtime_;
  Engine& engine_;  // Which keeps no more files open than it may.
  const std::string directory_;
  const std::shared_ptr<const LogOptions> options_;
  const TopicId topic_;
  DirectoryState directory_state_;                      // Not none once there is a record.
  const std::unique_ptr<const RecoveryReport> report_;  // None when it was clean.

  std::vector<SegmentPtr> segments_;  // By base offset; the last is the active one.
  EpochCache epochs_;
  Offset start_;
  Offset end_;
  Offset durable_end_;         // start_ <= durable_end_ <= end_
  RecoveryPoint point_;        // As on disk; offset <= durable_end_.
  CompactionPoint compacted_;  // As on disk; clean_end, gaps_end <= end_.
  std::uint64_t cuts_ = 0;     // How often the log lost its end.
  DurableMark mark_;
  std::unique_ptr<const Error> failed_;  // Why nothing is written any more; set once.
  bool closed_ = false;
  bool flush_waits_ = false;  // The flusher has us in its list.
  bool lost_ = false;         // A sync of the file system failed; so did we.
  std::uint64_t failures_seen_ =
      0;                        // Of those syncs, when the first byte came that is not durable.
  std::uint64_t removals_ = 0;  // Grows when segments go, so that a compaction notices.

  // In call order; one per call under way that could not write at once.
  std::list<Append*> waiting_;
  bool leading_ = false;  // One of them writes, or was woken to; else none waits.

  std::unique_ptr<Turns> turns_;               // Made when somebody comes.
  std::unique_ptr<runtime::Gate> background_;  // Made when something is started.
};

// Opens one log of a layout from its directory, which is there as far as `found` says. Errors: as
// Log::open().
Task<Result<std::unique_ptr<Log>>> open_partition_log(std::shared_ptr<LogContext> context,
                                                      LogName name, LogOptions options,
                                                      DirectoryState found);
// A log without a record, of which nothing is on the disk; `report` says whether something was.
std::unique_ptr<Log> new_partition_log(std::shared_ptr<LogContext> context, LogName name,
                                       LogOptions options, RecoveryReport report);
// The same from what is known of it, without a look at the disk.
// Requires: it was closed so, and nothing was written to it since.
std::unique_ptr<Log> reopen_partition_log(std::shared_ptr<LogContext> context, LogName name,
                                          LogOptions options, ClosedLog closed);

}  // namespace qlab::storage
