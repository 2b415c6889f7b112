#pragma once
// Compares views by what they see.

#include <algorithm>
#include <optional>

#include "common/bytes.h"

namespace qlab::wire {

inline bool same_bytes(const std::optional<ByteView>& a, const std::optional<ByteView>& b) {
  if (!a || !b) return !a && !b;
  return std::ranges::equal(*a, *b);
}

}  // namespace qlab::wire
