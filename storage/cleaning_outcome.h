#pragma once
// What a look at old records came to: segments that were deleted, records that were superseded.

#include <cstdint>

#include "common/ids.h"

namespace qlab::storage {

// Of one Log::apply_retention().
struct RetentionOutcome {
  std::uint64_t segments = 0;  // Deleted.
  std::uint64_t bytes = 0;     // In them.
  Offset start;                // Of the log, afterwards.
};

// Of one Log::compact().
struct CompactionOutcome {
  bool ran = false;                // False when there was not enough to clean.
  std::uint64_t bytes_before = 0;  // Of the segments that were read.
  std::uint64_t bytes_after = 0;   // Of those that stand in their place.
  std::uint64_t records_read = 0;
  std::uint64_t records_kept = 0;
  Offset clean_end;      // Below it every key has one record at most.
  bool is_full = false;  // The key map was full: there is more to clean, in another pass.
};

}  // namespace qlab::storage
