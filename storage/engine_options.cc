#include "storage/engine_options.h"

#include <array>

namespace qlab::storage {
namespace {

constexpr std::array<std::string_view, 4> names = {"none", "extents", "zeros", "recycled"};

}  // namespace

std::vector<std::string_view> preallocation_names() {
  return {names.begin(), names.end()};
}

std::string_view name_of(Preallocation preallocation) {
  return names.at(static_cast<std::size_t>(preallocation));
}

Result<Preallocation> parse_preallocation(std::string_view name) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return static_cast<Preallocation>(i);
  }
  return fail(Errc::invalid, "log.preallocation={} is unknown; allowed are {}", name,
              fmt::join(names, ", "));
}

Result<void> EngineOptions::validate() const {
  constexpr std::uint64_t prepared_bytes_min = 1u << 20;
  constexpr std::uint64_t prepared_bytes_max = 1u << 30;
  constexpr std::size_t spares_max = 64;
  if (static_cast<std::size_t>(preallocation) >= names.size()) {
    return fail(Errc::invalid, "log.preallocation={} is unknown; allowed are {}",
                static_cast<int>(preallocation), fmt::join(names, ", "));
  }
  if (prepared_bytes < prepared_bytes_min || prepared_bytes > prepared_bytes_max) {
    return fail(Errc::invalid, "log.preallocate.bytes={} is not in [{}, {}]", prepared_bytes,
                prepared_bytes_min, prepared_bytes_max);
  }
  if (spares > spares_max) {
    return fail(Errc::invalid, "log.preallocate.spares={} is not in [0, {}]", spares, spares_max);
  }
  return {};
}

}  // namespace qlab::storage
