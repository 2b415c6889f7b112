#pragma once
// One function per mode; each prints its lines.
// Errors: invalid, when the options ask for what cannot be; io and others, of what is measured.

#include "storage/bench/output.h"

namespace qlab::storage::bench {

Result<void> run_append(const BenchOptions& options, Output& output);
Result<void> run_read(const BenchOptions& options, Output& output);
Result<void> run_threads(const BenchOptions& options, Output& output);

// Both fill in a child process, which kills itself: what is recovered was left by a process that
// is gone.
Result<void> run_partitions(const BenchOptions& options, Output& output);
Result<void> run_recovery(const BenchOptions& options, Output& output);

}  // namespace qlab::storage::bench
