#pragma once
// One function per mode; each prints its lines.
// Errors: invalid, when the options ask for what cannot be; io and others, of what is measured.

#include "storage/bench/output.h"

namespace qlab::storage::bench {

Result<void> run_append(const BenchOptions& options, Output& output);

}  // namespace qlab::storage::bench
