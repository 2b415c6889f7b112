#pragma once
// A consensus log on any storage engine: segments of frames, and the entries behind the newest
// snapshot in memory.
//
// Files `log-<index of its first entry, 20 digits>`: a header (magic:u64 salt:u64
// previous_epoch:i64 previous_index:i64 crc32c:u32), then frames, all in network order:
//   length:u32    of what follows the checksum
//   crc32c:u32    over salt, length and what follows; the salt makes frames of another file foreign
//   durable:u64   bytes of this file known to be durable when the frame was written
//   epoch:i64 index:i64 kind:u8 body
// A file is durable as a whole before the next one begins. So recovery can tell a torn tail from a
// corrupt middle: only the last file may have a tail, and in it bad bytes that a later good frame
// knows to have been durable were not lost by a crash. A frame damaged behind all good ones cannot
// be told from a torn one; it is cut. Zeros up to the end of a file are space that an engine had
// prepared.
//
// `giving-way`, empty, lies beside them while a log is replaced by one that follows an image.

#include <memory>
#include <string>

#include "consensus/entry_log.h"
#include "runtime/disk.h"
#include "storage/engine.h"

namespace qlab::consensus {

using runtime::Task;

struct LogStoreOptions {
  std::uint64_t salt = 0;  // For new files; random.
  // Nothing was ever promised on it, so a file that a crash left without a whole header is made
  // anew.
  bool fresh = false;
  std::uint64_t file_bytes = 64u << 20;  // A new file begins beyond it.
  // Where the engine keeps its files; null when it keeps none.
  runtime::Disk* disk = nullptr;
};

// Memory and disk are moved apart: append(), truncate() and install() change the view at once;
// write(), cut(), reset() and sync() bring the disk after it, in the same order, one at a time.
// Thread: the shard that opened it.
class LogStore {
 public:
  // `snapshot` is the newest image beside it: a log that does not reach it, or disagrees with it,
  // gives way to it. What it returns is durable.
  // Errors: corrupt, for a damaged middle, a gap, or a damaged header of a log that is not fresh,
  // or no file at all of one that did not give way to an image; io.
  static Task<Result<std::unique_ptr<LogStore>>> open(storage::Engine& engine,
                                                      std::string directory, SnapshotMeta snapshot,
                                                      LogStoreOptions options);
  // Whether there is any file of a log, or a crash came while it gave way to an image. `disk` as
  // in the options.
  static Result<bool> exists(storage::Engine& engine, std::string_view directory,
                             runtime::Disk* disk);

  const LogView& view() const { return entries_; }
  // The last entry that was written, or before which the log begins.
  LogId written() const { return files_.back().end(); }
  void append(const std::vector<Entry>& entries);
  void truncate(LogIndex from) { entries_.truncate(from); }
  void install(SnapshotMeta meta) { entries_.install(std::move(meta)); }

  // A newer image was made here: notes it, and forgets what lies before `keep_from`, on disk as far
  // as whole files do. Requires: keep_from <= meta.last.index + 1; the image is durable. Errors:
  // io.
  Task<Result<void>> trim(SnapshotMeta meta, LogIndex keep_from);

  // Requires: the entries follow what was written before.
  // Durability: none; see sync(). Errors: no_space, io.
  Task<Result<void>> write(std::vector<Entry> entries);
  // Drops [from, ...) from the disk, durably. Requires: written before.
  Task<Result<void>> cut(LogIndex from);
  // Brings the disk after an install(): a log that has `last` keeps what follows it, any other
  // begins anew behind it, durably.
  Task<Result<void>> reset(LogId last);
  // Makes durable all that was written before.
  Task<Result<void>> sync();
  Task<Result<void>> close();

  std::uint64_t bytes_cut() const { return bytes_cut_; }  // Of the torn tail found at open.

 private:
  // Frames of entries that follow `previous`; ends[i] is where the frame of the i-th ends.
  struct File {
    std::string path;
    std::unique_ptr<storage::Segment> segment;
    LogId previous;
    std::uint64_t salt = 0;
    std::vector<std::uint64_t> ends;
    std::vector<Epoch> epochs;  // Of its entries.
    std::uint64_t durable = 0;  // Bytes that recovery knows to be durable.

    LogIndex first() const { return previous.index.next(); }
    LogIndex last() const;
    LogId end() const;  // Its last entry, or `previous`.
    std::uint64_t size() const;
  };
  struct Header;

  LogStore(storage::Engine& engine, std::string directory, LogStoreOptions options)
      : engine_(engine), directory_(std::move(directory)), options_(options) {}
  Task<Result<void>> recover(SnapshotMeta snapshot);
  // `image`: the last entry of the snapshot; 0 when there is none.
  Task<Result<void>> recover_file(std::string name, bool is_last, LogIndex image);
  std::string path_behind(LogIndex previous) const;
  Task<Result<void>> begin_file(LogId previous);
  // Durably, so that no crash leaves a gap between two files.
  Task<Result<void>> remove_file(std::size_t at);
  // A file without bytes is there, durably, while the log gives way to an image: so a crash in
  // between is told from a log that somebody removed.
  Result<void> begin_to_give_way();
  Result<void> has_given_way();
  Result<void> scan(ByteView bytes, bool is_last);

  storage::Engine& engine_;
  const std::string directory_;
  const LogStoreOptions options_;
  EntryLog entries_;
  std::vector<File> files_;  // By index; the last one is written to.
  std::uint64_t bytes_cut_ = 0;
};

}  // namespace qlab::consensus
