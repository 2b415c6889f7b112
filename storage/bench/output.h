#pragma once
// Lines of JSON on standard output, and histograms in a file.

#include <cstdio>
#include <filesystem>
#include <string>

#include "storage/bench/options.h"

namespace qlab::storage::bench {

class Output {
 public:
  // Prints to `lines`, which the caller closes.
  Output(const BenchOptions& options, std::FILE* lines) : options_(options), lines_(lines) {}

  // One measurement: what was asked for, where, and what came out. `what` names it within its mode.
  // `directory` is where the files are. Errors: io, for the file of histograms.
  Result<void> print(std::string_view what, const Json& figures,
                     const std::filesystem::path& directory);

 private:
  Result<void> add_to_hlog(std::string_view tag, const Json& figures) const;

  const BenchOptions options_;
  std::FILE* const lines_;
};

}  // namespace qlab::storage::bench
