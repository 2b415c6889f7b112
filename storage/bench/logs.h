#pragma once
// Many logs of one layout, opened side by side.

#include <memory>
#include <vector>

#include "storage/bench/options.h"
#include "storage/bench/target.h"
#include "storage/layout.h"

namespace qlab::storage::bench {

// Where the log of partition `index` is.
LogName log_name(std::uint64_t index);

// The first `count` logs of a started layout, `parallel` of them opened at a time.
// Errors: of the first that fails; then those that were opened are closed.
Task<Result<std::vector<std::unique_ptr<Log>>>> open_logs(runtime::Runtime& runtime, Layout& layout,
                                                          LogOptions options, std::uint64_t count,
                                                          std::uint64_t parallel);

// Appends a batch to each of the first `count` logs and, with durability sync, syncs it;
// options.concurrency of them at a time. Errors: of the first that fails.
Task<Result<void>> append_to_each(runtime::Runtime& runtime,
                                  const std::vector<std::unique_ptr<Log>>& logs,
                                  std::uint64_t count, BenchOptions options);

Task<Result<void>> close_logs(std::vector<std::unique_ptr<Log>>& logs);

}  // namespace qlab::storage::bench
