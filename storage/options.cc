#include "storage/options.h"

#include <array>
#include <limits>

namespace qlab::storage {
namespace {

struct Bound {
  std::string_view key;
  std::int64_t value;
  std::int64_t least;
  std::int64_t most;
};

Result<void> validate_cleaning(const LogOptions& options) {
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  if (options.cleanup_policy > CleanupPolicy::both) {
    return fail(Errc::invalid, "log.cleanup.policy={} is unknown; allowed are delete, compact",
                static_cast<int>(options.cleanup_policy));
  }
  const std::array<Bound, 7> bounds{{
      {"log.retention.ms", options.retention.count(), -1, most},
      {"log.retention.bytes", options.retention_bytes, -1, most},
      {"log.roll.ms", options.segment_age_max.count(), 1, most},
      {"log.cleaner.delete.retention.ms", options.delete_retention.count(), 0, most},
      {"log.cleaner.min.compaction.lag.ms", options.compaction_lag_min.count(), 0, most},
      {"log.cleaner.max.compaction.lag.ms", options.compaction_lag_max.count(), 1, most},
      {"log.cleaner.dedupe.buffer.size", static_cast<std::int64_t>(options.dedupe_buffer_bytes),
       1 << 20, std::int64_t{16} << 30},
  }};
  for (const Bound& bound : bounds) {
    if (bound.value < bound.least || bound.value > bound.most) {
      return fail(Errc::invalid, "{}={} is not in [{}, {}]", bound.key, bound.value, bound.least,
                  bound.most);
    }
  }
  if (!(options.cleanable_ratio_min >= 0 && options.cleanable_ratio_min <= 1)) {
    return fail(Errc::invalid, "log.cleaner.min.cleanable.ratio={} is not in [0, 1]",
                options.cleanable_ratio_min);
  }
  if (options.compaction_lag_min > options.compaction_lag_max) {
    return fail(Errc::invalid,
                "log.cleaner.min.compaction.lag.ms={} is more than "
                "log.cleaner.max.compaction.lag.ms={}",
                options.compaction_lag_min.count(), options.compaction_lag_max.count());
  }
  return {};
}

}  // namespace

Result<void> LogOptions::validate() const {
  constexpr std::uint64_t segment_bytes_min = 1u << 20;
  constexpr std::uint64_t segment_bytes_max = 1u << 30;
  constexpr std::uint32_t index_interval_bytes_max = (1u << 31) - 1;
  using std::chrono::milliseconds;
  if (segment_bytes < segment_bytes_min || segment_bytes > segment_bytes_max) {
    return fail(Errc::invalid, "log.segment.bytes={} is not in [{}, {}]", segment_bytes,
                segment_bytes_min, segment_bytes_max);
  }
  if (index_interval_bytes > index_interval_bytes_max) {
    return fail(Errc::invalid, "log.index.interval.bytes={} is not in [0, {}]",
                index_interval_bytes, index_interval_bytes_max);
  }
  if (durability > Durability::sync) {
    return fail(Errc::invalid, "durability={} is unknown; allowed are none, group, sync",
                static_cast<int>(durability));
  }
  if (group_interval < milliseconds(1) || group_interval > milliseconds(1000)) {
    return fail(Errc::invalid, "durability.group.ms={} is not in [1, 1000]",
                to_millis(group_interval));
  }
  return validate_cleaning(*this);
}

Result<CleanupPolicy> parse_cleanup_policy(std::string_view text) {
  if (text == "delete") return CleanupPolicy::by_age_and_size;
  if (text == "compact") return CleanupPolicy::compact;
  if (text == "compact,delete" || text == "delete,compact") return CleanupPolicy::both;
  return fail(Errc::invalid,
              "cleanup.policy={} is unknown; allowed are delete, compact, and both "
              "with a comma between them",
              text);
}

}  // namespace qlab::storage
