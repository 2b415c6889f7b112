#pragma once
// What is known of the logs of a layout that were closed: enough to open them again without a look
// at the disk.
//
// It is kept in one file for all logs, from the end of a clean stop to the next start, which reads
// it and removes it before any log is opened: a log that was written since is never taken for what
// it was. Without the file every log is recovered from its own directory.
//
// The file holds, big-endian: version 0 (int32), number of logs (uint32), the logs, and CRC-32C of
// all before it (uint32); docs/formats.md.

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/ids.h"
#include "runtime/disk.h"
#include "storage/checkpoint.h"
#include "storage/compaction_point.h"
#include "storage/epoch_cache.h"

namespace qlab::storage {

struct ClosedLog {
  struct SegmentFile {
    Offset base;
    std::uint64_t size = 0;  // Bytes, all of them batches, all durable.
    bool operator==(const SegmentFile&) const = default;
  };
  TopicId topic;
  RecoveryPoint point;  // At the end of the log.
  CompactionPoint compacted;
  std::vector<SegmentFile> segments;  // By base; none of a log that has no directory.
  EpochCache epochs;
};

// Thread: one shard.
class ClosedLogs {
 public:
  // Takes what the file tells, if it is there, and removes it durably. A file that does not decode
  // tells nothing and is removed as well. Errors: io.
  Result<void> load(runtime::Disk& disk, std::string path);
  // Writes the file, of the logs that were added since load(). Errors: no_space, io.
  Result<void> store(runtime::Disk& disk, std::string path) const;

  void add(std::string partition, ClosedLog log) {
    added_.insert_or_assign(std::move(partition), std::move(log));
  }
  // What is known of a log, once.
  std::optional<ClosedLog> take(const std::string& partition);

 private:
  using Logs = std::unordered_map<std::string, ClosedLog>;

  Logs loaded_;  // Not opened since; not written again, for they may belong to others by now.
  Logs added_;
};

Bytes encode_closed_logs(const std::unordered_map<std::string, ClosedLog>& logs);
// Errors: corrupt.
Result<std::unordered_map<std::string, ClosedLog>> decode_closed_logs(ByteView bytes);

}  // namespace qlab::storage
