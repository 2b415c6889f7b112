#pragma once
// Time as every node sees it: a monotonic clock of its own, handed in by the runtime.
//
// NodeClock has no now() on purpose. Only runtime/ knows what time it is, so the simulator can own
// it.

#include <chrono>

namespace qlab {

struct NodeClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<NodeClock>;
  static constexpr bool is_steady = true;
};

using Duration = NodeClock::duration;
using Time = NodeClock::time_point;  // Nanoseconds since an arbitrary origin of this node.

// Milliseconds since the Unix epoch: what a record's timestamp holds.
using WallMillis = std::chrono::milliseconds;

constexpr double to_millis(Duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

}  // namespace qlab
