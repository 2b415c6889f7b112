#pragma once
// Sends operations at a target: a closed loop (a fixed number under way, each sent when one ends)
// or an open one (sent when they are due, whatever the target does).
//
// In an open loop latency counts from when an operation was due, so a stall is seen by everything
// that fell due during it. A closed loop sees a stall once per appender ("coordinated omission",
// Gil Tene): its percentiles answer "how long does one take", not "how long do users wait".

#include <optional>

#include "storage/bench/measurement.h"
#include "storage/bench/resources.h"
#include "storage/bench/target.h"

namespace qlab::storage::bench {

// When open-loop operations are due. The sum of the gaps has no error that grows with the count.
class Schedule {
 public:
  // Requires: rate > 0, operations per second.
  Schedule(Arrivals arrivals, double rate, Time start, std::uint64_t seed);
  // Never before the previous one.
  Time next();

 private:
  const Arrivals arrivals_;
  const double gap_ns_;
  const Time start_;
  std::uint64_t count_ = 0;
  double elapsed_ns_ = 0;
  Prng prng_;
};

// What was measured, and what was used up meanwhile.
struct Run {
  Measurement measurement;
  Resources before;
  Resources after;
  Json to_json(bool open_loop, const std::optional<BlockDevice>& device) const;
};

// Warms up, measures, and waits for what is still under way. Ends early when the limits of the
// options say so, when an operation fails (a poisoned log only fails faster), or at a signal.
// Requires: the target is started; `runtime` and `target` live on.
Task<Run> drive(runtime::Runtime& runtime, Target& target, BenchOptions options,
                std::optional<BlockDevice> device);

// SIGINT and SIGTERM end runs from here on, not the process: directories are still removed.
void end_runs_on_signals();
bool run_ends();

}  // namespace qlab::storage::bench
