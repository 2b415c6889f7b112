#pragma once
// Syncs of the whole file system, which the logs of a layout share.

#include <optional>

#include "runtime/async.h"
#include "runtime/disk.h"

namespace qlab::storage {

using runtime::Task;

// Thread: one shard.
class FilesystemSync {
 public:
  explicit FilesystemSync(runtime::Runtime& runtime) : runtime_(runtime), ended_event_(runtime) {}

  // Returns when a sync has ended that began after this call. Calls that wait share the next one.
  // Errors: io; of the bytes that were not synced when it failed, nothing is known any more.
  Task<Result<void>> join();

  // Grows with each failure. Who has held unsynced bytes since it was less has lost them.
  std::uint64_t failures() const { return failures_; }
  // Why the last one failed. Requires: failures() > 0.
  const Error& failure() const { return *failure_; }

 private:
  runtime::Runtime& runtime_;
  std::uint64_t begun_ = 0;
  std::uint64_t ended_ = 0;  // ended_ <= begun_ <= ended_ + 1: one at a time.
  std::uint64_t failures_ = 0;
  std::optional<Error> failure_;
  runtime::Event ended_event_;
};

}  // namespace qlab::storage
