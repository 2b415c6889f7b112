#pragma once
// What every replica does with its log, however its copies are made.

#include <vector>

#include "common/record_batch.h"
#include "replication/producer_state.h"
#include "runtime/runtime.h"
#include "storage/log.h"

namespace qlab::replication {

using runtime::Task;

// The headers of batches that were checked before.
Result<std::vector<BatchHeader>> headers_of(ByteView batches);

// What the log's batches tell of its producers, in the place of what is known of them.
// Errors: those of Log::read.
Task<Result<void>> read_producers(storage::Log& log, ProducerState& producers);

// Deletes and compacts what the log no longer needs, below the high watermark; returns whether
// records were deleted. `name` is for the words about it. Errors: of the log.
Task<Result<bool>> clean_log(storage::Log& log, std::string name, WallMillis now, Offset watermark);

}  // namespace qlab::replication
