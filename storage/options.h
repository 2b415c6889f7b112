#pragma once
// What may be chosen about a partition's log. The simulator draws from the same bounds.

#include <cstdint>

#include "common/clock.h"
#include "common/result.h"

namespace qlab::storage {

// When an append counts as done.
enum class Durability : std::uint8_t {
  none,   // In the page cache; survives the process, not the power (Kafka's default).
  group,  // Durable within group_interval; acknowledged before.
  sync,   // Durable before it is acknowledged; overlapping appends share a sync.
};

struct LogOptions {
  std::uint64_t segment_bytes = 1u << 30;  // log.segment.bytes, [1 MiB, 1 GiB]: roll beyond it.
  std::uint32_t index_interval_bytes =
      4096;  // log.index.interval.bytes, [0, 2^31): bytes between two index entries.
  Durability durability = Durability::sync;                // durability: none | group | sync.
  Duration group_interval = std::chrono::milliseconds(5);  // durability.group.ms, [1, 1000].

  // Errors: invalid, naming the key, its value and what is allowed.
  Result<void> validate() const;
};

}  // namespace qlab::storage
