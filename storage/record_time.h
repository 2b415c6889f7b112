#pragma once
// Which record of a batch is the first of a time.

#include <optional>

#include "storage/log.h"

namespace qlab::storage {

// The first record of the batch at the front of `batch`, from offset `least` on, whose timestamp is
// >= `timestamp`. Nothing when there is none.
// Errors: as decode_records().
Result<std::optional<Log::TimestampOffset>> first_at_time(ByteView batch, std::int64_t timestamp,
                                                          Offset least = Offset{0});

}  // namespace qlab::storage
