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
#include "storage/log_directory.h"
#include "storage/log_segment.h"

namespace qlab::storage {

struct RecoveredLog {
  std::vector<std::shared_ptr<LogSegment>> segments;  // At least one; the last is the active one.
  EpochCache epochs;
  RecoveryPoint point;   // At the end of the log: everything recovered is durable.
  RecoveryPoint stored;  // As on disk, or what stands for it when there is none.
  CompactionPoint compacted;
  DirectoryState directory = DirectoryState::durable;  // none or durable
  RecoveryReport report;
};

// Requires: the directory exists, if the engine is persistent; nobody else has it open; the context
// outlives the task.
// Durability: all of the recovered log, when the task ends, directory and all.
// Errors: corrupt; io; no_space.
Task<Result<RecoveredLog>> recover(LogContext& context, LogName name, LogOptions options,
                                   DirectoryState found);

}  // namespace qlab::storage
