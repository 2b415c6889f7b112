#pragma once
// Starting a layout over what another process has left, and how long that takes.

#include <filesystem>

#include "storage/bench/output.h"

namespace qlab::storage::bench {

// Makes the files as cold as asked for, starts the layout, opens all logs, and prints one line;
// then closes all. Errors: of the layout; of make_cold().
Result<void> recover_and_print(std::string_view what, const BenchOptions& options,
                               const std::filesystem::path& root, Output& output);

}  // namespace qlab::storage::bench
