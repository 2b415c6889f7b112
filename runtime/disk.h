#pragma once
// Files, as far as a log needs them. Written is not durable: write and sync are two calls and two
// words.
//
// Both worlds implement it: real/ with blocking calls or io_uring, simulated/ with a page cache
// that a crash loses, tears and reorders. Faults are injected here (fault_hook.h), so every engine
// meets the same ones.

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.h"
#include "runtime/runtime.h"

namespace qlab::runtime {

// How the kernel is asked. The simulated disk takes every word, refuses what direct refuses, and
// makes durable what each is bound to and no more.
enum class IoPath : std::uint8_t {
  blocking,  // pwrite on the shard's thread (page cache); fdatasync on a helper thread of the
             // shard.
  uring,     // io_uring of the shard for writes, reads and syncs (page cache).
  mapped,    // Stores into a shared mapping (page cache); msync on a helper thread of the shard.
  direct,    // O_DIRECT through the shard's io_uring, past the page cache. Positions, sizes and
             // memory of writes are multiples of direct_alignment; see Disk::make_buffer.
};

// What IoPath::direct asks of positions, sizes and addresses of a write, in bytes.
inline constexpr std::size_t direct_alignment = 4096;

// How File::prepare makes space.
enum class Fill : std::uint8_t {
  extents,  // fallocate: the space is there, and the first write of each block still changes
            // metadata.
  zeros,    // Written zeros: later writes change data only.
};

struct OpenOptions {
  IoPath io_path = IoPath::blocking;
  bool create = false;  // Make the file when it is not there; its directory entry is durable after
                        // sync_directory.
  bool exclusive = false;  // With create: fail with exists when it is there.
};

// An open file. Reads and writes may overlap when their ranges do not.
// Thread: the shard that opened it. Lifetime: close() before destruction; destruction alone closes
// without a sync.
class File {
 public:
  virtual ~File() = default;

  // Writes all of `pieces`, in order, at `position`; extends the file where needed.
  // Requires: the bytes stay alive and unchanged until the task ends.
  // Durability: none. Errors: no_space (nothing or a part was written), io; invalid, when a write
  // on IoPath::direct is not aligned.
  virtual Task<Result<void>> write(std::uint64_t position, std::vector<ByteView> pieces) = 0;

  // Makes durable all writes that ended before this call began, and the size they need (fdatasync).
  // Errors: io. After an error nothing may be assumed of any write since the last good sync, and
  // the file refuses further syncs: the kernel marks failed pages clean (ATC'20, "Can Applications
  // Recover from fsync Failures?").
  virtual Task<Result<void>> sync() = 0;

  // Writes, and makes at least that range durable, and the size it needs; one round trip to the
  // kernel where the path can do it (RWF_DSYNC). Nothing is promised of other ranges: direct and
  // uring make this one durable alone. Any number may be under way at once, for ranges that do not
  // overlap, and they end in any order.
  // Errors: as write() and sync(), and the file refuses further syncs likewise; not after invalid,
  // nor after a no_space of direct, which refuses a write and leaves nothing in doubt.
  virtual Task<Result<void>> write_durably(std::uint64_t position,
                                           std::vector<ByteView> pieces) = 0;

  // Up to `count` bytes from `position`; fewer only at the end of the file.
  virtual Task<Result<Bytes>> read(std::uint64_t position, std::size_t count) = 0;

  // Sets the size and makes it durable.
  virtual Task<Result<void>> truncate(std::uint64_t size) = 0;

  // Makes the file at least `size` bytes long, durably; what is added reads as zeros. On
  // IoPath::direct the new size is rounded up to direct_alignment. Other syncs do not wait for it.
  // Requires: no write beyond size() is under way. Errors: no_space (the size is as before); io.
  virtual Task<Result<void>> prepare(std::uint64_t size, Fill fill) = 0;

  // Has the page cache write back what is dirty and forget all of the file, so that reads from here
  // on give what the disk has, and writes reach it. After a failed sync, of whichever process, the
  // cache may show what the disk never saw; and on ext4 whatever is written to such a page later,
  // and synced well, is zeros after a power cut (docs/formats.md). Pages that somebody else has
  // mapped or is reading stay. What cannot be written back is no error: reads tell what became of
  // it. No effect where nothing lies between the file and the disk.
  // Requires: no other call is under way. Durability: none. Errors: io.
  virtual Task<Result<void>> forget_cached() = 0;

  virtual Result<std::uint64_t> size() const = 0;
  virtual Task<Result<void>> close() = 0;
};

// Memory for IoPath::direct: aligned, and registered with the shard's ring where that is possible.
class IoBuffer {
 public:
  virtual ~IoBuffer() = default;
  virtual std::span<std::byte> bytes() = 0;
};

// Paths are relative to the disk's root, which is the node's data directory, and never leave it.
class Disk {
 public:
  virtual ~Disk() = default;

  virtual Task<Result<std::unique_ptr<File>>> open(std::string path, OpenOptions options) = 0;

  // Requires: `size` is a multiple of direct_alignment; buffers end before the disk does.
  // Errors: no_space, when the memory is not to be had. Where no more can be registered it is
  // plain aligned memory, which works the same.
  virtual Result<std::unique_ptr<IoBuffer>> make_buffer(std::size_t size) = 0;

  // Makes durable everything that was written to the file system below the root and every name in
  // it (syncfs), whoever wrote it. Errors: io; then nothing may be assumed of any unsynced write:
  // files that are open refuse further syncs, and so does this.
  virtual Task<Result<void>> sync_filesystem() = 0;

  virtual Result<std::vector<std::string>> list(
      std::string_view directory) = 0;  // Names, sorted; no . and ..
  virtual Result<bool> exists(std::string_view path) = 0;
  virtual Result<void> make_directories(
      std::string_view directory) = 0;  // Durable with its parents.
  // One, whose parent is there; that it is there already is no error. Durability: none until its
  // parent is synced, and nothing in it survives without it. Errors: not_found, no_space, io.
  virtual Result<void> make_directory(std::string_view directory) = 0;
  virtual Result<void> rename(std::string_view from,
                              std::string_view to) = 0;    // Atomic, replaces `to`.
  virtual Result<void> remove(std::string_view path) = 0;  // A file; not_found is no error.
  virtual Result<void> remove_all(std::string_view directory) = 0;  // A directory with all in it.
  virtual Result<void> sync_directory(
      std::string_view directory) = 0;  // Makes creates and renames in it durable.

  // The whole file at once, for small ones. Errors: not_found, io.
  virtual Result<Bytes> read_file(std::string_view path) = 0;
  // Replaces a small file so that a crash leaves the old or the new, whole: temporary, sync,
  // rename, directory sync.
  virtual Result<void> write_file_atomically(std::string_view path, ByteView bytes) = 0;
};

}  // namespace qlab::runtime
