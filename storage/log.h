#pragma once
// One partition's log: segments of record batches with offset and time index, leader-epoch cache,
// roll and recovery.
//
// Files and formats are Kafka's (docs/formats.md), so Kafka's own tools can read them.
//
// Thread: one shard. Appends are serialised by the log itself; reads may overlap them.
// Invariant: start <= durable_end <= end. Batches follow one another without a gap, except where
// compaction has taken records out.

#include <memory>
#include <optional>
#include <string>

#include "common/ids.h"
#include "common/record_batch.h"
#include "storage/cleaning_outcome.h"
#include "storage/engine.h"
#include "storage/options.h"
#include "storage/recovery_report.h"

namespace qlab::storage {

struct AppendResult {
  Offset base;  // Of the first record.
  Offset next;  // One past the last record.
};

struct ReadResult {
  Bytes
      batches;  // Whole batches; the first may begin before the offset asked for. Empty at the end.
  Offset next;  // One past the last record in `batches`; the offset asked for when empty.
};

struct EpochEnd {
  LeaderEpoch epoch =
      no_leader_epoch;  // The largest epoch known that is <= the one asked for; none: -1.
  Offset end;           // One past its last record; none: where the first known epoch begins.
};

class Log {
 public:
  // Opens what is in `directory` or makes it: scans from the recovery point, checks every batch
  // there, rebuilds indexes, cuts a torn tail (recovery.h says what is torn and what is corrupt).
  // Requires: nobody else has it open; the log is closed or removed before it is destroyed.
  // Durability: all that is there is durable when the task ends.
  // Errors: corrupt, naming file and position, and nothing was changed; io; no_space.
  static Task<Result<std::unique_ptr<Log>>> open(runtime::Runtime& runtime, Engine& engine,
                                                 std::string directory, LogOptions options);
  virtual ~Log() = default;

  // Appends as the leader: stamps base offset and `epoch` into every batch, in place, then writes.
  // Requires: whole, CRC-checked batches (check_batches); epoch >= the latest one.
  // Durability: readable when the task ends, durable by sync().
  // Errors: no_space (nothing was appended, the log stays usable; appends that were gathered into
  // the same write fail with it); fenced (epoch < the latest one); io (poisoned: every later append
  // and sync fails, reads of what is durable go on).
  virtual Task<Result<AppendResult>> append_as_leader(Bytes batches, LeaderEpoch epoch) = 0;

  // Appends what a leader stamped. Requires: whole, CRC-checked batches. Durability: as above; all
  // of it, when there is a gap.
  // A gap before a batch is what compaction has left at the leader, so it is taken only in a log
  // whose cleanup policy compacts.
  // Errors: as above; out_of_range, when a base offset lies before the end of what is there, or
  // leaves a gap where none may be.
  virtual Task<Result<AppendResult>> append_as_follower(Bytes batches) = 0;

  // Makes durable at least everything appended before the call. Returns the durable end.
  virtual Task<Result<Offset>> sync() = 0;

  // Whole batches from the one that holds `from`, up to `bytes_max` but at least one, all of them
  // below `limit`. Errors: out_of_range outside [start, end]; corrupt, when a batch fails its CRC:
  // it is never served.
  virtual Task<Result<ReadResult>> read(Offset from, Offset limit, std::size_t bytes_max) = 0;

  // The first offset whose timestamp is >= `timestamp`, with that timestamp. Nothing when there is
  // none below `limit`.
  struct TimestampOffset {
    Offset offset;
    std::int64_t timestamp;
    LeaderEpoch epoch;
  };
  virtual Task<Result<std::optional<TimestampOffset>>> find_timestamp(std::int64_t timestamp,
                                                                      Offset limit) = 0;

  // Drops all records from `end` on, durably (a follower that diverged); a batch that reaches
  // across it goes whole, so end() may come to lie before it. Requires: end >= start().
  virtual Task<Result<void>> truncate_to(Offset end) = 0;
  // Drops everything and begins anew at `start` (a follower whose leader has deleted what it
  // needs).
  virtual Task<Result<void>> reset_to(Offset start) = 0;

  // Moves start() up to `start`, durably: nothing below it is read again, and segments that lie
  // below it whole are deleted. No effect when `start` is not beyond start(). A batch that reaches
  // across it is still read whole.
  // Errors: out_of_range, when start > end(); as sync().
  virtual Task<Result<void>> delete_before(Offset start) = 0;

  // Deletes whole segments, the oldest first, that are older than the retention time or that the
  // log does without and still has its retention size. Only what lies below `limit` (the high
  // watermark) goes. The active segment is rolled when it is older than segment_age_max, and when
  // all of it is to go. A segment's age is that of its latest timestamp; one without any has none.
  // Durability: of what is deleted. Errors: as sync(); no_space.
  virtual Task<Result<RetentionOutcome>> apply_retention(WallMillis now, Offset limit) = 0;

  // Keeps, of the records with the same key below `limit` (the high watermark), the latest; and of
  // a record without a value (a tombstone) nothing once it was clean for delete_retention. The
  // active segment stays as it is, but is rolled as by apply_retention(). Offsets and timestamps
  // stay. Reads, appends and syncs go on meanwhile. Returns at once when the policy does not
  // compact or too little is dirty. Durability: of what stands in the place of what was there.
  // Errors: aborted, when the log was cut, begun anew or closed meanwhile: nothing of the rest is
  // done; corrupt; as sync(); no_space, and the log goes on.
  // Source: Kafka 3.9, LogCleaner; KIP-58, KIP-354, KIP-534.
  virtual Task<Result<CompactionOutcome>> compact(WallMillis now, Offset limit) = 0;

  // Where `epoch` ends in this log (KIP-101, KIP-279). The latest epoch ends at end().
  virtual EpochEnd end_of_epoch(LeaderEpoch epoch) const = 0;
  virtual LeaderEpoch latest_epoch() const = 0;  // -1 for an empty log that never had one.

  virtual Offset start() const = 0;
  virtual Offset end() const = 0;          // One past the last record appended.
  virtual Offset durable_end() const = 0;  // One past the last record known to survive a power cut.
  virtual std::uint64_t size_bytes() const = 0;
  virtual const RecoveryReport& recovery() const = 0;

  // Syncs, writes the recovery point, closes the files. Nothing may be under way but a compaction,
  // which it ends; every later call fails with closed. Errors: as sync(); the files are closed in
  // any case.
  virtual Task<Result<void>> close() = 0;
  // Closes and deletes the directory.
  virtual Task<Result<void>> remove() = 0;
};

}  // namespace qlab::storage
