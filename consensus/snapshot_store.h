#pragma once
// Images of a state machine on disk: the newest whole one, and those that are being written.
//
// File `snapshot-<epoch, 20 digits>-<index, 20 digits>`, in network order:
//   magic:u64 epoch:i64 index:i64 size:u64 config_length:u32 config crc32c:u32
// then the image in blocks of 256 KiB, the last one shorter, each with its crc32c:u32 behind it. It
// is written under another name, synced and renamed, so a file of that name is whole or damaged by
// the disk, never torn.

#include <memory>
#include <optional>
#include <string>

#include "consensus/types.h"
#include "runtime/disk.h"

namespace qlab::consensus {

using runtime::Task;

class SnapshotStore;

// One image on its way to the disk. Thread: the store's shard; one call at a time.
class SnapshotWriter {
 public:
  // Follows what was added before. Durability: none. Errors: no_space, io.
  Task<Result<void>> add(std::shared_ptr<const Bytes> piece);
  std::uint64_t size() const { return size_; }  // Bytes added.

 private:
  friend class SnapshotStore;
  SnapshotWriter(SnapshotMeta meta, std::string path)
      : meta_(std::move(meta)), path_(std::move(path)) {}
  Task<Result<void>> write_block(std::size_t count);

  SnapshotMeta meta_;
  const std::string path_;
  std::unique_ptr<runtime::File> file_;  // Null where nothing is kept on a disk.
  Bytes waiting_;                        // Less than a block; all of it without a file.
  std::uint64_t size_ = 0;
  std::uint64_t position_ = 0;  // In the file.
};

// Thread: one shard.
class SnapshotStore {
 public:
  // Finds the newest image, and removes older ones and what was not finished. With no disk it keeps
  // images in memory. Errors: corrupt, when the newest one's header is damaged; io.
  static Task<Result<std::unique_ptr<SnapshotStore>>> open(runtime::Disk* disk,
                                                           std::string directory);

  const SnapshotMeta& newest() const { return newest_; }

  // Up to `count` bytes of the image of `last` from `position`. Nothing: it is not the newest one.
  // Errors: corrupt, naming the block; io.
  Task<Result<std::optional<Bytes>>> read(LogId last, std::uint64_t position, std::size_t count);

  // `purpose` keeps two writers apart. Errors: no_space, io.
  Task<Result<std::unique_ptr<SnapshotWriter>>> begin(SnapshotMeta meta, std::string_view purpose);
  // The image is whole: durable when the task ends, and the newest one, unless a newer one came
  // before. Errors: no_space, io.
  Task<Result<void>> finish(std::unique_ptr<SnapshotWriter> writer);
  Task<Result<void>> close();

 private:
  SnapshotStore(runtime::Disk* disk, std::string directory)
      : disk_(disk), directory_(std::move(directory)) {}
  Task<Result<void>> adopt(std::string name);
  std::string path_of(LogId last) const;

  runtime::Disk* const disk_;
  const std::string directory_;
  SnapshotMeta newest_;
  std::shared_ptr<runtime::File> file_;  // Of the newest; shared with reads under way.
  std::uint64_t blocks_at_ = 0;          // Where its blocks begin.
  Bytes in_memory_;                      // The newest, without a disk.
};

}  // namespace qlab::consensus
