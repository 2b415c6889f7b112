#pragma once
// What a simulated world is like: delays, clocks, and how much of its trace is kept.

#include <cstddef>
#include <string>

#include "common/clock.h"
#include "common/prng.h"

namespace qlab::runtime {

// A delay is uniform in [least, most], and now and then much longer: uniform in [most, slow_most].
struct Delays {
  Duration least{};
  Duration most{};
  double slow_chance = 0;
  Duration slow_most{};

  Duration draw(Prng& random) const {
    const bool slow = slow_chance > 0 && random.chance(slow_chance);
    return slow ? Duration(random.between(most.count(), slow_most.count()))
                : Duration(random.between(least.count(), most.count()));
  }
};

struct WorldOptions {
  // One way between two nodes, for a message or a piece of a byte stream.
  Delays network{std::chrono::microseconds(20), std::chrono::microseconds(500), 0.01,
                 std::chrono::milliseconds(20)};
  Delays disk_read{std::chrono::microseconds(1), std::chrono::microseconds(100)};
  Delays disk_write{std::chrono::microseconds(1), std::chrono::microseconds(50), 0.005,
                    std::chrono::milliseconds(5)};
  Delays disk_sync{std::chrono::microseconds(50), std::chrono::milliseconds(1), 0.01,
                   std::chrono::milliseconds(20)};
  // Between two attempts to open a link to a peer.
  Delays link_retry{std::chrono::milliseconds(20), std::chrono::milliseconds(100)};
  // A link or stream whose peer cannot answer for as long breaks, as keep-alive makes it.
  Duration link_silence_max = std::chrono::seconds(5);

  // Every node's monotonic clock is ahead by up to clock_offset_max and runs fast or slow by up to
  // clock_drift_max_ppm; both are drawn once. Bounds: 0..1 h; 0..100'000 parts per million.
  Duration clock_offset_max{};
  std::int64_t clock_drift_max_ppm = 0;

  std::size_t trace_lines_max = 1000;  // Kept in memory.
  std::string trace_file = {};         // Takes every line; none when empty.
};

}  // namespace qlab::runtime
