#pragma once
// Decides that a warm-up is over: when latency has stopped moving and the offered load is carried.

#include <cstdint>
#include <deque>

namespace qlab::experiments {

// One interval of a warm-up: what was offered in it, what was acknowledged, and their median
// latency.
struct WarmupInterval {
  std::int64_t offered = 0;
  std::int64_t acked = 0;
  double median_ms = 0;
};

// Steady when, in each of the last kIntervals intervals, the acks were at least kCarried of what
// was offered and the medians were within kSpread of their mean (or within kFloorMs of it: below
// that, noise of the machine rules).
class SteadyDetector {
 public:
  static constexpr std::size_t kIntervals = 4;
  static constexpr double kCarried = 0.9;
  static constexpr double kSpread = 0.25;
  static constexpr double kFloorMs = 0.5;

  // Returns whether the load is steady as of this interval.
  bool add(const WarmupInterval& interval);

 private:
  std::deque<WarmupInterval> last_;  // At most kIntervals, oldest first.
};

}  // namespace qlab::experiments
