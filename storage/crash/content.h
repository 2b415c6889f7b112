#pragma once
// What is written: batches that say by themselves which log, which incarnation of it, which leader
// epoch and which offset they belong to, so that a reader needs no copy to know every byte.

#include <cstdint>

#include "common/bytes.h"
#include "common/ids.h"

namespace qlab::storage {

// A log between its creation and its removal.
struct LogIdentity {
  std::uint64_t seed = 0;  // Of the whole run.
  std::int64_t partition = 0;
  std::int64_t incarnation = 0;  // How often a log of that name was removed before.

  std::string partition_name() const;
  TopicId topic() const;
};

// The one batch that may begin at `base` in that epoch, whole and stamped: 1 to 8 records of drawn
// sizes, mostly small, at times as large as a segment's third.
Bytes batch_of(const LogIdentity& log, LeaderEpoch epoch, Offset base);

}  // namespace qlab::storage
