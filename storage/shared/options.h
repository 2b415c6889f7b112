#pragma once
// What may be chosen about the layout `shared`. The simulator draws from the same bounds.

#include <cstdint>

#include "common/result.h"

namespace qlab::storage {

struct SharedOptions {
  // log.shared.segment.bytes, [4 KiB, 1 GiB]: a segment of the shared log is full beyond it, and is
  // then settled.
  std::uint64_t segment_bytes = 64u << 20;
  // log.shared.bytes.max, [64 KiB, 64 GiB]: of the shared log, so also what a start scans at most;
  // appends wait while settling is behind.
  std::uint64_t bytes_max = 768u << 20;
  // log.shared.checkpoint.bytes, [4 KiB, bytes_max / 2]: appended between two checkpoints.
  std::uint64_t checkpoint_bytes = 256u << 20;
  // log.shared.cache.bytes, [0, 16 GiB]: of what was appended last, kept for readers and settling.
  std::uint64_t cache_bytes = 128u << 20;

  // Errors: invalid, naming the key, its value and what is allowed.
  Result<void> validate() const;
};

}  // namespace qlab::storage
