#pragma once
// A half of a run in a process of its own, which may end as processes do that are killed.

#include "storage/bench/options.h"

namespace qlab::storage::bench {

// Runs this program with `options`; its lines go where ours go. Returns when it ended.
// Errors: io, when it could not be started, or ended neither well nor by its own SIGKILL.
Result<void> run_child(const BenchOptions& options);

// Ends this process at once: nothing is closed, nothing that is in its memory is written.
[[noreturn]] void kill_myself();

}  // namespace qlab::storage::bench
