#pragma once
// The arithmetic of majorities. Pure; quorum_test.cc compares it with a naive twin.

#include <algorithm>
#include <functional>
#include <vector>

#include "common/check.h"

namespace qlab::raft {

// The least number of `voters` that any other majority shares a member with. Requires: voters >= 1.
constexpr std::size_t majority(std::size_t voters) {
  return voters / 2 + 1;
}

// The largest value that a majority has reached: of match indexes what is stored on a quorum, of
// contact times since when a quorum was heard.
// Requires: one value per voter, at least one. Source: Raft 5.3, 5.4.
template <class T>
T reached_by_majority(std::vector<T> values) {
  CHECK(!values.empty());
  const std::size_t at = majority(values.size()) - 1;
  const auto nth = values.begin() + static_cast<std::ptrdiff_t>(at);
  std::nth_element(values.begin(), nth, values.end(), std::greater<>());
  return *nth;
}

enum class Tally : std::uint8_t { won, lost, open };

// Requires: granted + refused <= voters.
Tally tally(std::size_t voters, std::size_t granted, std::size_t refused);

}  // namespace qlab::raft
