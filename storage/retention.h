#pragma once
// Which segments of a log go, which are to be compacted, and in what groups. Pure.
//
// Source: Kafka 3.9, UnifiedLog.deleteOldSegments, LogCleanerManager; KIP-354.

#include <span>
#include <vector>

#include "common/clock.h"
#include "common/ids.h"
#include "storage/options.h"

namespace qlab::storage {

// What is known of a segment without reading it.
struct SegmentFacts {
  Offset base;
  Offset end;  // One past its last record: where the next segment begins.
  std::uint64_t bytes = 0;
  std::int64_t first_timestamp = -1;  // Of its first batch, in milliseconds; -1: not known.
  std::int64_t max_timestamp = -1;    // -1: there is none, and then it never gets too old.
};

// How many segments, from the front, are to be deleted: those below `start`, where the log begins,
// and, when the policy says so, the oldest ones that are too old or too many. Only what lies below
// `limit` counts. All of them may be: then the last one has to be rolled first.
std::size_t segments_to_delete(std::span<const SegmentFacts> segments, const LogOptions& options,
                               WallMillis now, Offset start, Offset limit);

// True when the active segment is to be rolled because of its age.
bool is_roll_due(const SegmentFacts& active, const LogOptions& options, WallMillis now);

struct CompactionPlan {
  std::size_t segments = 0;  // From the front, that may be rewritten.
  Offset dirty_from;         // Where in them the dirty part begins.
  bool is_due = false;       // There is enough to clean, or it has waited for long enough.
};

// `segments` are those before the active one; below `clean_end` no key has two records.
CompactionPlan plan_compaction(std::span<const SegmentFacts> segments, const LogOptions& options,
                               WallMillis now, Offset clean_end, Offset limit);

// How many of `segments`, from the front, fit one segment together; at least one.
// Requires: there is one.
std::size_t segments_to_group(std::span<const SegmentFacts> segments, std::uint64_t segment_bytes);

}  // namespace qlab::storage
