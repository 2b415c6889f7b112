#pragma once
// What may be chosen about the copies of partitions. Names and defaults are Kafka's.

#include <cstddef>
#include <cstdint>

#include "common/clock.h"
#include "common/result.h"
#include "storage/options.h"

namespace qlab::replication {

struct ReplicationOptions {
  storage::LogOptions log;
  // replica.lag.time.max.ms, [100, 600000]: a follower that was not caught up for so long leaves
  // the ISR.
  Duration lag_max = std::chrono::milliseconds(30'000);
  // replica.fetch.wait.max.ms, [1, 60000]: how long a leader may hold a follower's fetch that has
  // nothing to bring.
  Duration fetch_wait_max = std::chrono::milliseconds(500);
  // replica.fetch.max.bytes, [1 KiB, 1 GiB]: per partition in one fetch; one batch always fits.
  std::size_t fetch_bytes_max = 1u << 20;
  // replica.fetch.backoff.ms, [1, 60000]: after a failed fetch.
  Duration fetch_backoff = std::chrono::milliseconds(50);
  // min.insync.replicas, [1, 1000]: of topics that do not set it.
  std::int32_t min_insync_replicas = 1;

  // log.retention.check.interval.ms, [1, 2^31): between two looks at what may be deleted or
  // compacted.
  Duration retention_check_interval = std::chrono::minutes(5);

  // Errors: invalid, naming the key, its value and what is allowed.
  Result<void> validate() const;
};

}  // namespace qlab::replication
