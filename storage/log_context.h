#pragma once
// What the logs of one per_partition layout share.

#include "storage/segment_files.h"

namespace qlab::storage {

struct LogContext {
  // Requires: `runtime` and `engine` outlive it; it outlives its logs.
  LogContext(runtime::Runtime& r, Engine& engine, std::size_t open_files_max)
      : runtime(r), files(r, engine, open_files_max) {}

  runtime::Runtime& runtime;
  SegmentFiles files;
};

}  // namespace qlab::storage
