#pragma once
// When operations are meant to happen, whatever the system under test does meanwhile (an open
// loop).
//
// Latency counts from these times, so a stall delays every operation that fell due during it, and
// is seen by all of them. A loop that waits for answers would measure it once ("coordinated
// omission").

#include <cstdint>

#include "common/prng.h"
#include "experiments/load/options.h"

namespace qlab::experiments {

// CLOCK_MONOTONIC in nanoseconds: one clock for all processes of this machine, as in the nodes'
// traces.
std::int64_t monotonic_ns();

class Schedule {
 public:
  // The first operation is due at `start_ns` (constant) or one exponential gap later (Poisson).
  //
  // Requires: rate > 0, operations per second.
  Schedule(Arrivals arrivals, double rate, std::int64_t start_ns, std::uint64_t seed);

  // The next intended time; never before the previous one. Has no error that grows with the count.
  std::int64_t next();

 private:
  Arrivals arrivals_;
  double gap_ns_;  // Mean time between operations.
  std::int64_t start_ns_;
  std::uint64_t count_ = 0;
  double elapsed_ns_ = 0;  // Poisson: the sum of the gaps so far.
  Prng prng_;
};

}  // namespace qlab::experiments
