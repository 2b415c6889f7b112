#pragma once
// How far a log was compacted, kept beside it.
//
// Kafka keeps the first of the two numbers for all logs of a directory, in
// `cleaner-offset-checkpoint`. The second is ours: compaction leaves gaps between batches, and
// below the offset named here a gap is what it left, while above it a gap is corruption.

#include <string>

#include "common/ids.h"
#include "runtime/disk.h"

namespace qlab::storage {

struct CompactionPoint {
  Offset clean_end;  // Below it no key has two records.
  Offset
      gaps_end;  // Before a batch that begins below it there may be a gap; all of that is durable.

  bool operator==(const CompactionPoint&) const = default;
  // The same, of a log that ends at `end`.
  CompactionPoint cut_at(Offset end) const;
};

std::string encode_compaction_point(const CompactionPoint& point);
// Errors: corrupt.
Result<CompactionPoint> decode_compaction_point(std::string_view text);

// Zeros when there is no such file. Errors: corrupt, io.
Result<CompactionPoint> read_compaction_point(runtime::Disk& disk, std::string_view directory);
// Durability: when it returns. Errors: no_space, io.
Result<void> write_compaction_point(runtime::Disk& disk, std::string_view directory,
                                    const CompactionPoint& point);

}  // namespace qlab::storage
