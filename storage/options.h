#pragma once
// What may be chosen about a partition's log. The simulator draws from the same bounds.

#include <cstdint>
#include <string_view>

#include "common/clock.h"
#include "common/result.h"

namespace qlab::storage {

// When an append counts as done.
enum class Durability : std::uint8_t {
  none,   // In the page cache; survives the process, not the power (Kafka's default).
  group,  // Durable within group_interval; acknowledged before.
  sync,   // Durable before it is acknowledged; overlapping appends share a sync.
};

// What becomes of old records: segments are deleted by age and size, or the latest record of each
// key is kept, or both.
enum class CleanupPolicy : std::uint8_t { by_age_and_size, compact, both };

constexpr bool deletes_segments(CleanupPolicy policy) {
  return policy != CleanupPolicy::compact;
}
constexpr bool compacts(CleanupPolicy policy) {
  return policy != CleanupPolicy::by_age_and_size;
}

// Errors: invalid, when `text` is not `delete`, `compact`, or both with a comma between them.
Result<CleanupPolicy> parse_cleanup_policy(std::string_view text);

struct LogOptions {
  std::uint64_t segment_bytes = 1u << 30;  // log.segment.bytes, [1 MiB, 1 GiB]: roll beyond it.
  std::uint32_t index_interval_bytes =
      4096;  // log.index.interval.bytes, [0, 2^31): bytes between two index entries.
  Durability durability = Durability::sync;                // durability: none | group | sync.
  Duration group_interval = std::chrono::milliseconds(5);  // durability.group.ms, [1, 1000].

  // Retention and compaction. A time or size that is off is -1.
  CleanupPolicy cleanup_policy = CleanupPolicy::by_age_and_size;  // log.cleanup.policy
  WallMillis retention = std::chrono::days(7);  // log.retention.ms, [-1, 2^63): age at which a
                                                // segment goes.
  std::int64_t retention_bytes = -1;            // log.retention.bytes, [-1, 2^63): kept at least.
  WallMillis segment_age_max = std::chrono::days(7);  // log.roll.ms, [1, 2^63): then the active
                                                      // segment is rolled.
  WallMillis delete_retention =
      std::chrono::days(1);          // log.cleaner.delete.retention.ms, [0, 2^63):
                                     // how long a tombstone outlives its cleaning.
  WallMillis compaction_lag_min{0};  // log.cleaner.min.compaction.lag.ms, [0, 2^63): no record is
                                     // cleaned before.
  WallMillis compaction_lag_max = WallMillis::max();  // log.cleaner.max.compaction.lag.ms, [1,
                                                      // 2^63): then it is, whatever the ratio.
  double cleanable_ratio_min = 0.5;  // log.cleaner.min.cleanable.ratio, [0, 1]: share of bytes that
                                     // were never cleaned, beyond which cleaning begins.
  std::size_t dedupe_buffer_bytes = 128u << 20;  // log.cleaner.dedupe.buffer.size, [1 MiB, 16 GiB]:
                                                 // of the key map of one compaction.

  bool operator==(const LogOptions&) const = default;

  // Errors: invalid, naming the key, its value and what is allowed.
  Result<void> validate() const;
};

}  // namespace qlab::storage
