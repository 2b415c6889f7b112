#include "storage/options.h"

namespace qlab::storage {

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
  return {};
}

}  // namespace qlab::storage
