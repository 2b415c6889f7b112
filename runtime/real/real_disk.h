#pragma once
// The files below a node's data directory.

#include <filesystem>
#include <memory>

#include "runtime/disk.h"
#include "runtime/real/fd.h"
#include "runtime/real/real_file.h"

namespace qlab::runtime {

// Names and small files are handled with blocking calls on the shard's thread: they are rare.
// Paths are checked by their words (absolute ones and `..` are invalid); a symbolic link that the
// owner of the directory made is followed.
class RealDisk final : public Disk {
 public:
  // Requires: `root` is a directory; `runtime` is the shard's.
  RealDisk(std::filesystem::path root, Runtime& runtime)
      : root_(std::move(root)), parts_(runtime) {}

  // Errors: unsupported, when the kernel or its policy forbids io_uring (uring, direct), or the
  // file system O_DIRECT (direct); a file that was made for that stays behind, empty.
  Task<Result<std::unique_ptr<File>>> open(std::string path, OpenOptions options) override;

  // From huge pages that the ring knows, up to 1024 times 2 MiB and as far as RLIMIT_MEMLOCK goes
  // (BufferArena, RingTables); from there on from memory that nobody has registered.
  Result<std::unique_ptr<IoBuffer>> make_buffer(std::size_t size) override;
  Task<Result<void>> sync_filesystem() override;
  Result<std::vector<std::string>> list(std::string_view directory) override;
  Result<bool> exists(std::string_view path) override;
  Result<void> make_directories(std::string_view directory) override;
  Result<void> make_directory(std::string_view directory) override;
  Result<void> rename(std::string_view from, std::string_view to) override;
  Result<void> remove(std::string_view path) override;
  Result<void> remove_all(std::string_view directory) override;
  Result<void> sync_directory(std::string_view directory) override;
  Result<Bytes> read_file(std::string_view path) override;
  Result<void> write_file_atomically(std::string_view path, ByteView bytes) override;

  // Asked before every operation from now on; an empty one is never asked. Names and small files,
  // which are not awaited, take errors but no delays.
  void set_fault_hook(FaultHook hook) { parts_.hook = std::move(hook); }

  // Waits for operations of the ring that nobody will await any more.
  // Thread: the shard's, after its loop ended.
  void drain();

 private:
  Result<std::filesystem::path> resolve(std::string_view path) const;

  Result<void> pass(DiskOperation operation, std::string_view path) const;
  Result<void> watch_filesystem();

  const std::filesystem::path root_;
  DiskParts parts_;
  Fd filesystem_;  // The root, once a file was opened.
};

}  // namespace qlab::runtime
