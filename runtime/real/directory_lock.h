#pragma once
// One process per data directory.

#include <filesystem>

#include "runtime/real/fd.h"

namespace qlab::runtime {

// Held while it lives, and let go by the kernel however the process ends.
class DirectoryLock {
 public:
  explicit DirectoryLock(Fd file) : file_(std::move(file)) {}

 private:
  Fd file_;
};

// Locks `directory`/.lock, which is made when missing.
// Errors: exists, when another process holds it; not_found; io.
Result<DirectoryLock> lock_directory(const std::filesystem::path& directory);

}  // namespace qlab::runtime
