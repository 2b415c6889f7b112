#pragma once
// What is known to be durable in a log, kept beside it: the recovery point, and the durable mark
// that runs ahead of it.
//
// The recovery point is replaced atomically on roll, close, truncation and recovery, and a scan
// begins there. The mark is overwritten in place after syncs and never synced itself: where it has
// reached the disk it is true, and where it has not, less is known. Bad bytes below either of them
// are corruption; above both they may be a torn tail.

#include <memory>
#include <optional>
#include <string>

#include "common/ids.h"
#include "runtime/disk.h"

namespace qlab::storage {

using runtime::Task;

// Everything in [start, offset) is durable; `offset` lies at `position` of the segment named for
// `segment`, and all segments before that one are durable whole.
struct RecoveryPoint {
  Offset start;
  Offset offset;
  Offset segment;               // segment <= offset; or no_segment.
  std::uint64_t position = 0;   // Bytes; 0 when offset == segment.
  std::int64_t generation = 0;  // Grows when the log is cut, so that no older mark counts any more.

  bool operator==(const RecoveryPoint&) const = default;
  // True when nothing of the log is durable.
  bool is_empty() const { return offset == start; }
  // True while a reset is under way: no segment that is there belongs to the log.
  bool is_resetting() const { return segment == no_segment; }

  static constexpr Offset no_segment{-1};
};

std::string encode_recovery_point(const RecoveryPoint& point);
// Errors: corrupt.
Result<RecoveryPoint> decode_recovery_point(std::string_view text);

// Nothing when there is no such file. Errors: corrupt, io.
Result<std::optional<RecoveryPoint>> read_recovery_point(runtime::Disk& disk,
                                                         std::string_view directory);
// Durability: when it returns. Errors: no_space, io.
Result<void> write_recovery_point(runtime::Disk& disk, std::string_view directory,
                                  const RecoveryPoint& point);

// Errors: io. A mark that is missing, torn or of another generation is no error and no mark.
Result<std::optional<RecoveryPoint>> read_durable_mark(runtime::Disk& disk,
                                                       std::string_view directory,
                                                       const RecoveryPoint& point);

// Writes the mark of one log, at most once per interval.
// Thread: one shard; one note() at a time.
class DurableMark {
 public:
  // True when the last one was written long enough ago.
  bool is_due(Time now) const { return !busy_ && now >= due_; }
  // Opens the file for as long as the write takes: a log that is idle holds no descriptor.
  // Requires: is_due(); `point` is durable. Errors: io, no_space; then the mark stays behind, and
  // no harm is done.
  Task<Result<void>> note(runtime::Runtime& runtime, std::string directory, RecoveryPoint point);

 private:
  bool busy_ = false;
  Time due_ = Time::min();  // Of the next write.
};

}  // namespace qlab::storage
