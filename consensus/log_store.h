#pragma once
// A consensus log on any storage engine: one segment of frames, and all entries in memory.
//
// File: a header (magic:u64 salt:u64 crc32c:u32), then frames, all in network order:
//   length:u32    of what follows the checksum
//   crc32c:u32    over salt, length and what follows; the salt makes frames of another file foreign
//   durable:u64   bytes of this file known to be durable when the frame was written
//   epoch:i64 index:i64 kind:u8 body
// Recovery tells a torn tail from a corrupt middle by `durable`: bad bytes that a later good frame
// knows to have been durable were not lost by a crash. A frame damaged behind all good ones cannot
// be told from a torn one; it is cut.
//
// Limits: the log is one file and is read whole at start, until there are snapshots to cut it at.

#include <memory>
#include <string>

#include "consensus/entry_log.h"
#include "storage/engine.h"

namespace qlab::consensus {

using runtime::Task;

// Memory and disk are moved apart: append() and truncate() change the view at once; write(), cut()
// and sync() bring the disk after it, in the same order, one at a time.
// Thread: the shard that opened it.
class LogStore {
 public:
  // `salt` is for a new file. `fresh`: nothing was ever promised on it, so a file that a crash left
  // without a whole header is made anew. What it returns is durable.
  // Errors: corrupt, for a damaged middle, or a damaged header of a log that is not fresh; io.
  static Task<Result<std::unique_ptr<LogStore>>> open(storage::Engine& engine, std::string path,
                                                      std::uint64_t salt, bool fresh);

  const LogView& view() const { return entries_; }
  void append(const std::vector<Entry>& entries);
  void truncate(LogIndex from) { entries_.truncate(from); }

  // Requires: the entries follow what was written before.
  // Durability: none; see sync(). Errors: no_space, io.
  Task<Result<void>> write(std::vector<Entry> entries);
  // Drops [from, ...) from the disk, durably. Requires: written before.
  Task<Result<void>> cut(LogIndex from);
  // Makes durable all that was written before.
  Task<Result<void>> sync();
  Task<Result<void>> close();

  std::uint64_t bytes_cut() const { return bytes_cut_; }  // Of the torn tail found at open.

 private:
  explicit LogStore(std::unique_ptr<storage::Segment> segment) : segment_(std::move(segment)) {}
  Task<Result<void>> recover(std::string path, std::uint64_t salt, bool fresh);
  Task<Result<void>> begin_file(std::uint64_t salt);
  Result<std::uint64_t> scan(ByteView file, std::string_view path);

  std::unique_ptr<storage::Segment> segment_;
  std::uint64_t salt_ = 0;
  EntryLog entries_;
  std::vector<std::uint64_t> ends_;  // ends_[i]: where the frame of entry i + 1 ends in the file.
  std::uint64_t bytes_cut_ = 0;
};

}  // namespace qlab::consensus
