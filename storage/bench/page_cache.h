#pragma once
// What of a directory's files the page cache holds, and how it is emptied.

#include <cstdint>
#include <filesystem>

#include "common/result.h"
#include "storage/bench/options.h"

namespace qlab::storage::bench {

// Makes all files below `directory` durable and drops their pages; with Cold::machine also the
// inodes and names, of the whole machine. Errors: io; for the machine, when it is not permitted.
Result<void> make_cold(const std::filesystem::path& directory, Cold cold);

// Bytes of the regular files below, and how many of them are in the page cache.
struct Cached {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  std::uint64_t bytes_cached = 0;
};
// Cost: a mapping of each file. Files that cannot be read count as not cached.
Cached cached(const std::filesystem::path& directory);

}  // namespace qlab::storage::bench
