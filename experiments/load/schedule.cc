#include "experiments/load/schedule.h"

#include <cmath>
#include <ctime>

#include "common/check.h"

namespace qlab::experiments {

std::int64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

Schedule::Schedule(Arrivals arrivals, double rate, std::int64_t start_ns, std::uint64_t seed)
    : arrivals_(arrivals), gap_ns_(1e9 / rate), start_ns_(start_ns), prng_(seed) {
  CHECK(rate > 0);
}

std::int64_t Schedule::next() {
  if (arrivals_ == Arrivals::poisson) {
    elapsed_ns_ += -std::log(1 - prng_.unit()) * gap_ns_;
  } else {
    elapsed_ns_ = static_cast<double>(count_++) * gap_ns_;
  }
  return start_ns_ + static_cast<std::int64_t>(elapsed_ns_);
}

}  // namespace qlab::experiments
