#pragma once
// Syncs that the logs of a layout share: of the whole file system, of the directory they are in.

#include <optional>

#include "runtime/async.h"
#include "runtime/disk.h"

namespace qlab::storage {

using runtime::Task;

// Thread: one shard.
class SharedSync {
 public:
  using Sync = Task<Result<void>> (*)(runtime::Runtime&);

  SharedSync(runtime::Runtime& runtime, Sync sync)
      : runtime_(runtime), sync_(sync), ended_event_(runtime) {}

  // Returns when a sync has ended that began after this call. Calls that wait share the next one.
  // Errors: io; of the bytes that were not synced when it failed, nothing is known any more.
  Task<Result<void>> join();

  // Grows with each failure. Who has held unsynced bytes since it was less has lost them.
  std::uint64_t failures() const { return failures_; }
  // Why the last one failed. Requires: failures() > 0.
  const Error& failure() const { return *failure_; }

 private:
  runtime::Runtime& runtime_;
  const Sync sync_;
  std::uint64_t begun_ = 0;
  std::uint64_t ended_ = 0;  // ended_ <= begun_ <= ended_ + 1: one at a time.
  std::uint64_t failures_ = 0;
  std::optional<Error> failure_;
  runtime::Event ended_event_;
};

// Of the file system below the disk's root.
Task<Result<void>> sync_filesystem(runtime::Runtime& runtime);
// Of the names in the disk's root. Who asks in the same turn of the loop shares it.
Task<Result<void>> sync_root(runtime::Runtime& runtime);

}  // namespace qlab::storage
