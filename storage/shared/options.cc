#include "storage/shared/options.h"

#include <string_view>

namespace qlab::storage {
namespace {

Result<void> check_range(std::string_view key, std::uint64_t value, std::uint64_t least,
                         std::uint64_t most) {
  if (value >= least && value <= most) return {};
  return fail(Errc::invalid, "{}={} is not in [{}, {}]", key, value, least, most);
}

}  // namespace

Result<void> SharedOptions::validate() const {
  constexpr std::uint64_t kib = 1024;
  constexpr std::uint64_t gib = kib * kib * kib;
  TRY_VOID(check_range("log.shared.segment.bytes", segment_bytes, 4 * kib, gib));
  TRY_VOID(check_range("log.shared.bytes.max", bytes_max, 64 * kib, 64 * gib));
  TRY_VOID(check_range("log.shared.checkpoint.bytes", checkpoint_bytes, 4 * kib, bytes_max / 2));
  return check_range("log.shared.cache.bytes", cache_bytes, 0, 16 * gib);
}

}  // namespace qlab::storage
