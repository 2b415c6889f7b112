#pragma once
// From the files of a store to streams that may be served.
//
// A bad frame is corruption when anything durable is known to lie behind it: a later segment, a
// later frame that names a later durable position, a checkpoint. Then nothing is changed, and the
// error names file and position. Otherwise it is a torn tail: the shared log ends there, and the
// report says what was dropped.

#include <map>
#include <vector>

#include "storage/log.h"
#include "storage/shared/settled_files.h"
#include "storage/shared/wal.h"

namespace qlab::storage::shared {

struct RecoveredStore {
  Manifest manifest;
  std::vector<WalSegmentPtr> segments;  // Of the shared log, all of them durable.
  std::uint32_t next_segment = 1;
  std::map<std::uint32_t, std::vector<StreamId>> unsettled;  // By segment, in order of writing.
  Position checkpoint;                                       // Where the replay began.
  RecoveryReport report;
};

// Requires: `streams` and `files` are empty. Durability: all of it, when the task ends.
// Errors: corrupt; io; no_space.
Task<Result<RecoveredStore>> recover(runtime::Runtime& runtime, Engine& engine,
                                     std::string directory, StreamTable& streams,
                                     SettledFiles& files);

}  // namespace qlab::storage::shared
