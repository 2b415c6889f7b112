#pragma once
// The seeds of a property test: its own, or those of QLAB_SEEDS=first:last (or QLAB_SEEDS=one), to
// see one of them again, or many more.

#include <cstdint>
#include <cstdlib>

namespace qlab::storage {

struct SeedRange {
  std::uint64_t first;
  std::uint64_t last;         // Drawn as well.
  bool is_asked_for = false;  // By QLAB_SEEDS.
};

inline SeedRange seeds_up_to(std::uint64_t last) {
  const char* const asked = std::getenv("QLAB_SEEDS");
  if (!asked) return {1, last};
  char* rest = nullptr;
  const std::uint64_t first = std::strtoull(asked, &rest, 10);
  return {first, *rest == ':' ? std::strtoull(rest + 1, nullptr, 10) : first, true};
}

}  // namespace qlab::storage
