#pragma once
// A node's disk in the simulation: SimulatedFiles, with delays, faults, and crashes at the boundary
// of an operation.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/disk.h"
#include "runtime/fault_hook.h"
#include "runtime/simulated/files.h"
#include "runtime/simulated/options.h"

namespace qlab::runtime {

class SimulatedNode;

class SimulatedDisk final : public Disk {
 public:
  SimulatedDisk(SimulatedNode& node, const WorldOptions& options, Prng random);

  Task<Result<std::unique_ptr<File>>> open(std::string path, OpenOptions options) override;
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

  // Survives crashes; an empty one ends all faults.
  void set_fault_hook(FaultHook hook) { hook_ = std::move(hook); }

  // The node crashes in the middle of the `count`-th change from now (a write, sync, truncation or
  // change of names), losing what is not durable: right before it or right after it began, as
  // drawn. 0 calls it off.
  void crash_at_change(std::uint64_t count);

  // What is durable of a file, whatever a program sees. Nothing when no such name is.
  std::optional<Bytes> durable(std::string_view path) const;
  // How many changes were made, over all lives.
  std::uint64_t changes() const { return changes_; }

  // For the node: the end of a life.
  void crash(bool lose_unsynced);

 private:
  friend class SimulatedFile;
  enum class Kind : std::uint8_t { look, change };

  // False for a change that a planned crash comes before.
  bool takes_effect(Kind kind);
  // Counts the operation and asks the hook. Errors: closed, when the node is down.
  Result<DiskFault> begin(const DiskAccess& access, Kind kind);
  // The same for operations that take no time. False: the node is dying and they do nothing.
  Result<bool> begin_now(DiskOperation operation, std::string_view path, Kind kind);

  SimulatedNode& node_;
  const WorldOptions& options_;
  Prng random_;
  SimulatedFiles files_;
  FaultHook hook_;
  std::uint64_t changes_ = 0;
  std::uint64_t filesystem_failures_ = 0;  // Failed syncs of it all, of this life.
  std::uint64_t changes_until_crash_ = 0;  // 0: none is planned.
};

}  // namespace qlab::runtime
