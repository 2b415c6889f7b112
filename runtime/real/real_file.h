#pragma once
// An open file of the real disk, and its ways to the kernel.

#include <memory>
#include <optional>
#include <string>

#include "runtime/disk.h"
#include "runtime/fault_hook.h"
#include "runtime/real/buffer_arena.h"
#include "runtime/real/fd.h"
#include "runtime/real/helper_thread.h"
#include "runtime/real/uring.h"

namespace qlab::runtime {

// What the files of one disk share.
struct DiskParts {
  explicit DiskParts(Runtime& r) : runtime(r), helper(r.executor()), preparer(r.executor()) {}

  // Opens the ring unless it is open. Errors: unsupported.
  Result<void> open_ring();
  // Registered with the ring, if there is one. Errors: no_space.
  Result<std::unique_ptr<IoBuffer>> make_buffer(std::size_t size) {
    return buffers.make(size, ring == nullptr ? nullptr : ring->tables());
  }

  // What the hook wants to happen to an operation, nothing when there is none.
  DiskFault ask(DiskOperation operation, std::string_view path, std::uint64_t position = 0,
                std::size_t count = 0) const {
    return hook ? hook(DiskAccess{operation, path, position, count}) : DiskFault{};
  }

  // In this order: who waits in the ring or on a helper may hold what stands before it.
  Runtime& runtime;
  BufferArena buffers;
  HelperThread helper;
  HelperThread preparer;        // For File::prepare, so that a sync never waits behind it.
  std::unique_ptr<Uring> ring;  // Opened with the first file or buffer that asks for it.
  FaultHook hook;
  std::optional<Error> filesystem_failure;  // Of the sync that failed: there is no other (disk.h).
};

// What all ways share: the descriptor, the faults, and the rule that a file whose sync failed is
// not synced again (disk.h). A public operation asks the hook, if there is one, and goes on to
// do_*.
class RealFile : public File {
 public:
  RealFile(Fd fd, std::string name, DiskParts& parts)
      : fd_(std::move(fd)),
        name_(std::move(name)),
        parts_(parts),
        opened_after_failure_(parts.filesystem_failure.has_value()) {}

  Task<Result<void>> write(std::uint64_t position, std::vector<ByteView> pieces) final;
  Task<Result<void>> sync() final;
  Task<Result<void>> write_durably(std::uint64_t position, std::vector<ByteView> pieces) final;
  Task<Result<Bytes>> read(std::uint64_t position, std::size_t count) final;
  Task<Result<void>> truncate(std::uint64_t size) final;
  Task<Result<void>> prepare(std::uint64_t size, Fill fill) final;
  Task<Result<void>> forget_cached() final;
  Result<std::uint64_t> size() const override;
  Task<Result<void>> close() final;

 protected:
  virtual Task<Result<void>> do_write(std::uint64_t position, std::vector<ByteView> pieces) = 0;
  virtual Task<Result<void>> do_sync() = 0;
  virtual Task<Result<void>> do_write_durably(std::uint64_t position,
                                              std::vector<ByteView> pieces) = 0;
  virtual Task<Result<Bytes>> do_read(std::uint64_t position, std::size_t count) = 0;

  // What positions and sizes of writes have to be multiples of.
  virtual std::size_t write_unit() const { return 1; }
  // The kernel has made the file as long as this, or is about to cut it.
  virtual void resized(std::uint64_t) {}
  // Lets go of pages that it has mapped.
  virtual void unmap() {}
  // Lets go of the descriptor before it is closed.
  virtual Result<void> before_close() { return {}; }

  // Errors: closed; the error that poisoned the file.
  Result<void> may_sync() const;
  // Passes a sync's outcome on and remembers the first failure, which is also that of every sync
  // under way then: the kernel tells of it once.
  Result<void> remember(Result<void> outcome);

  Fd fd_;
  const std::string name_;  // Below the disk's root.
  DiskParts& parts_;

 private:
  Task<Result<void>> pass(DiskFault fault, std::string_view what);
  Task<Result<void>> write_with_faults(std::uint64_t position, std::vector<ByteView> pieces);
  Task<Result<void>> write_partly(std::uint64_t position, std::vector<ByteView> pieces,
                                  DiskFault fault);
  Task<Result<void>> sync_with_faults();
  Task<Result<void>> write_durably_with_faults(std::uint64_t position,
                                               std::vector<ByteView> pieces);
  Task<Result<Bytes>> read_with_faults(std::uint64_t position, std::size_t count);

  const bool opened_after_failure_;  // Of a sync of the file system.
  std::optional<Error> sync_failure_;
};

// IoPath::blocking: pwrite and pread on the shard's thread, fdatasync on its helper.
std::unique_ptr<File> make_blocking_file(Fd fd, std::string name, DiskParts& parts);

// IoPath::uring: everything but truncate through the shard's ring. Requires: parts.ring is there.
std::unique_ptr<File> make_uring_file(Fd fd, std::string name, DiskParts& parts);

// IoPath::mapped: copies to and from windows of the file that are mapped when they are first used,
// msync on the shard's helper. Space is allocated ahead and cut off at the end; a process that was
// killed leaves it, as zeros. A page that cannot be had is an error io (guarded_copy.h).
// Errors: io.
Result<std::unique_ptr<File>> make_mapped_file(Fd fd, std::string name, DiskParts& parts);

// IoPath::direct: O_DIRECT through the shard's ring, by number and from registered memory where
// that is to be had (RingTables). Reads of any position and size go through a bounce buffer.
// Requires: parts.ring is there; O_DIRECT is set.
std::unique_ptr<File> make_direct_file(Fd fd, std::string name, DiskParts& parts);

}  // namespace qlab::runtime
