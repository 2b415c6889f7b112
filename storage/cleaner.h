#pragma once
// One pass of compaction over the sealed segments of a log: reads them a window at a time, and
// writes what stays.
//
// It changes nothing that is there. Who owns the log puts a new segment in the place of the old
// ones (segment_swap.h), and says with every read whether they are still part of it.
//
// Source: Kafka 3.9, Cleaner.

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "storage/cleaning_outcome.h"
#include "storage/compaction.h"
#include "storage/log_segment.h"
#include "storage/retention.h"

namespace qlab::storage {

// Reads of a sealed segment. Errors: aborted, when it is no more part of the log; io.
using ReadSealed = std::function<Task<Result<Bytes>>(std::shared_ptr<LogSegment> segment,
                                                     std::uint64_t position, std::size_t count)>;

struct SealedSegment {
  std::shared_ptr<LogSegment> segment;
  SegmentFacts facts;
};

class Cleaner {
 public:
  // `segments` follow one another from the front of the log; the dirty part begins at `dirty_from`.
  Cleaner(runtime::Runtime& runtime, const LogOptions& options, ReadSealed read,
          std::vector<SealedSegment> segments, Offset dirty_from);

  // Reads all segments: the keys of the dirty part, as far as they fit, and the tails of producers.
  // Errors: corrupt; those of ReadSealed.
  Task<Result<void>> map_keys();

  // The segments [first, last) that are to become one next; none when all are done.
  // Requires: map_keys() has ended.
  struct Group {
    std::size_t first = 0;
    std::size_t last = 0;
  };
  Group next_group(std::size_t first) const;

  // Writes what stays of a group to the end of `into`, whose last batch ends where the group does.
  // False when that is every byte of it. Errors: as map_keys(); no_space.
  Task<Result<bool>> rewrite(Group group, std::shared_ptr<LogSegment> into, WallMillis now);

  // Where the dirty part ends that map_keys() has taken in.
  Offset clean_end() const { return keys_.end(); }
  bool is_full() const { return full_; }
  const std::vector<SealedSegment>& segments() const { return segments_; }
  CompactionOutcome& outcome() { return outcome_; }

 private:
  Task<Result<void>> map_segment(std::size_t index);
  Task<Result<bool>> rewrite_segment(std::size_t index, Offset group_end, CompactionPass pass,
                                     std::shared_ptr<LogSegment> into);

  runtime::Runtime& runtime_;
  const LogOptions& options_;
  const ReadSealed read_;
  const std::vector<SealedSegment> segments_;
  DirtyKeys keys_;
  ProducerTails producers_;
  bool full_ = false;
  CompactionOutcome outcome_;
};

}  // namespace qlab::storage
