#pragma once
// From the files of a directory to a log that may be served: what is there is checked from the
// recovery point on, a torn tail is cut, corruption is reported.
//
// Bad bytes below the recovery point or the durable mark are corruption: an error that names file
// and position, and nothing is changed. Above both, nothing is known to have been durable, and a
// power cut may lose un-synced sectors in any order: the log ends where the first bad batch begins,
// and the report says what lay behind it.
//
// Source: Kafka 3.9, LogLoader; notes on torn and corrupt in docs/formats.md.

#include <memory>
#include <vector>

#include "storage/checkpoint.h"
#include "storage/compaction_point.h"
#include "storage/epoch_cache.h"
#include "storage/log.h"
#include "storage/log_segment.h"

namespace qlab::storage {

struct RecoveredLog {
  std::vector<std::shared_ptr<LogSegment>> segments;  // At least one; the last is the active one.
  EpochCache epochs;
  RecoveryPoint point;  // At the end of the log, and on disk: everything recovered is durable.
  CompactionPoint compacted;
  RecoveryReport report;
};

// Requires: the directory exists, if the engine is persistent; nobody else has it open.
// Durability: all of the recovered log, when the task ends.
// Errors: corrupt; io; no_space.
Task<Result<RecoveredLog>> recover(runtime::Runtime& runtime, Engine& engine, std::string directory,
                                   LogOptions options);

// Opens or creates one segment, with empty indexes.
Task<Result<std::shared_ptr<LogSegment>>> open_segment(Engine& engine, std::string directory,
                                                       Offset base, std::uint32_t interval);

// Deletes the files of a segment that is not open. Durability: none until the directory is synced.
Result<void> remove_segment_files(runtime::Runtime& runtime, Engine& engine,
                                  std::string_view directory, Offset base);
// Closes a segment first.
Task<Result<void>> remove_segment(runtime::Runtime& runtime, Engine& engine, std::string directory,
                                  std::shared_ptr<LogSegment> segment);

}  // namespace qlab::storage
