#pragma once
// An open file of the real disk, and its two ways to the kernel.

#include <memory>
#include <optional>
#include <string>

#include "runtime/disk.h"
#include "runtime/fault_hook.h"
#include "runtime/real/fd.h"
#include "runtime/real/helper_thread.h"
#include "runtime/real/uring.h"

namespace qlab::runtime {

// What the files of one disk share.
struct DiskParts {
  explicit DiskParts(Runtime& r) : runtime(r), helper(r.executor()) {}

  // What the hook wants to happen to an operation, nothing when there is none.
  DiskFault ask(DiskOperation operation, std::string_view path, std::uint64_t position = 0,
                std::size_t count = 0) const {
    return hook ? hook(DiskAccess{operation, path, position, count}) : DiskFault{};
  }

  Runtime& runtime;
  HelperThread helper;
  std::unique_ptr<Uring> ring;  // Opened with the first file that asks for it.
  FaultHook hook;
};

// What both ways share: the descriptor, the faults, and the rule that a file whose sync failed is
// not synced again (disk.h). A public operation asks the hook, if there is one, and goes on to
// do_*.
class RealFile : public File {
 public:
  RealFile(Fd fd, std::string name, DiskParts& parts)
      : fd_(std::move(fd)), name_(std::move(name)), parts_(parts) {}

  Task<Result<void>> write(std::uint64_t position, std::vector<ByteView> pieces) final;
  Task<Result<void>> sync() final;
  Task<Result<void>> write_durably(std::uint64_t position, std::vector<ByteView> pieces) final;
  Task<Result<Bytes>> read(std::uint64_t position, std::size_t count) final;
  Task<Result<void>> truncate(std::uint64_t size) final;
  Task<Result<void>> prepare(std::uint64_t size, Fill fill) final;
  Result<std::uint64_t> size() const final;
  Task<Result<void>> close() final;

 protected:
  virtual Task<Result<void>> do_write(std::uint64_t position, std::vector<ByteView> pieces) = 0;
  virtual Task<Result<void>> do_sync() = 0;
  virtual Task<Result<void>> do_write_durably(std::uint64_t position,
                                              std::vector<ByteView> pieces) = 0;
  virtual Task<Result<Bytes>> do_read(std::uint64_t position, std::size_t count) = 0;

  // Errors: closed; the error that poisoned the file.
  Result<void> may_sync() const;
  // Passes a sync's outcome on and remembers the first failure.
  Result<void> remember(Result<void> outcome);

  Fd fd_;
  const std::string name_;  // Below the disk's root.
  DiskParts& parts_;

 private:
  Task<Result<void>> pass(DiskFault fault, std::string_view what);
  Task<Result<void>> write_with_faults(std::uint64_t position, std::vector<ByteView> pieces);
  Task<Result<void>> sync_with_faults();
  Task<Result<void>> write_durably_with_faults(std::uint64_t position,
                                               std::vector<ByteView> pieces);
  Task<Result<Bytes>> read_with_faults(std::uint64_t position, std::size_t count);

  std::optional<Error> sync_failure_;
};

// IoPath::blocking: pwrite and pread on the shard's thread, fdatasync on its helper.
std::unique_ptr<File> make_blocking_file(Fd fd, std::string name, DiskParts& parts);

// IoPath::uring: everything but truncate through the shard's ring. Requires: parts.ring is there.
std::unique_ptr<File> make_uring_file(Fd fd, std::string name, DiskParts& parts);

}  // namespace qlab::runtime
