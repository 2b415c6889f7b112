#include "replication/options.h"

#include <array>
#include <limits>
#include <string_view>

namespace qlab::replication {

Result<void> ReplicationOptions::validate() const {
  const auto millis = [](Duration d) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
  };
  struct Bound {
    std::string_view key;
    std::int64_t value;
    std::int64_t least;
    std::int64_t most;
  };
  const std::array<Bound, 6> bounds{{
      {"replica.lag.time.max.ms", millis(lag_max), 100, 600'000},
      {"replica.fetch.wait.max.ms", millis(fetch_wait_max), 1, 60'000},
      {"replica.fetch.max.bytes", static_cast<std::int64_t>(fetch_bytes_max), 1024, 1 << 30},
      {"replica.fetch.backoff.ms", millis(fetch_backoff), 1, 60'000},
      {"log.retention.check.interval.ms", millis(retention_check_interval), 1,
       std::numeric_limits<std::int32_t>::max()},
      {"min.insync.replicas", min_insync_replicas, 1, 1000},
  }};
  for (const Bound& bound : bounds) {
    if (bound.value < bound.least || bound.value > bound.most) {
      return fail(Errc::invalid, "{}={} is not in [{}, {}]", bound.key, bound.value, bound.least,
                  bound.most);
    }
  }
  return log.validate();
}

}  // namespace qlab::replication
