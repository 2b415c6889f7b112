#pragma once
// Which record of a batch is the first of a time.

#include <optional>

#include "storage/log.h"

namespace qlab::storage {

// The first record of the batch at the front of `batch` whose timestamp is >= `timestamp`. A
// compressed batch is not opened: it answers with its first offset. Nothing when there is none.
// Errors: corrupt.
Result<std::optional<Log::TimestampOffset>> first_at_time(ByteView batch, std::int64_t timestamp);

}  // namespace qlab::storage
