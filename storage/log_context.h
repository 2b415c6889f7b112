#pragma once
// What the logs of one per_partition layout share.

#include <optional>
#include <string>
#include <unordered_set>

#include "storage/closed_logs.h"
#include "storage/group_flusher.h"
#include "storage/layout_options.h"
#include "storage/segment_files.h"
#include "storage/shared_sync.h"

namespace qlab::storage {

// Thread: one shard.
class LogContext {
 public:
  // Requires: `runtime` and `engine` outlive it; it outlives its logs.
  LogContext(runtime::Runtime& r, Engine& engine, const LayoutOptions& options)
      : runtime(r),
        files(r, engine, options.open_files_max),
        filesystem(r, sync_filesystem),
        root(r, sync_root),
        flusher(r, options.group_sync == GroupSync::filesystem ? sharing_max : syncing_max),
        group_sync_(options.group_sync) {}

  // True when logs are made durable together, by syncs of the whole file system.
  bool shares_syncs() const {
    return group_sync_ == GroupSync::filesystem && files.is_synced_by_filesystem();
  }
  // One copy for all logs that have the same options, as most have.
  std::shared_ptr<const LogOptions> share(const LogOptions& options) {
    if (!options_ || *options_ != options) options_ = std::make_shared<const LogOptions>(options);
    return options_;
  }
  // A durable mark is a write of its own. With many logs it is the rate of all that counts.
  bool may_mark() {
    const Time now = runtime.now();
    if (now - marks_since_ >= std::chrono::seconds(1)) {
      marks_since_ = now;
      marks_ = 0;
    }
    return marks_++ < marks_per_second_max;
  }

  runtime::Runtime& runtime;
  SegmentFiles files;
  SharedSync filesystem;
  SharedSync root;  // Of the directory that the directories of the logs are in.
  GroupFlusher flusher;
  ClosedLogs closed;
  // That the disk may have: what was there at the layout's start, and what its logs made since.
  // Nothing while that is not known. A log whose directory is not here has none: nobody need look.
  std::optional<std::unordered_set<std::string>> directories;

 private:
  static constexpr std::size_t syncing_max = 32;    // Logs that are flushed at a time, each by a
                                                    // sync of its own;
  static constexpr std::size_t sharing_max = 4096;  // that wait for the same sync.
  static constexpr std::uint64_t marks_per_second_max = 1000;

  const GroupSync group_sync_;
  std::shared_ptr<const LogOptions> options_;  // The latest.
  Time marks_since_{};
  std::uint64_t marks_ = 0;  // Since then.
};

}  // namespace qlab::storage
