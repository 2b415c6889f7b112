#include "experiments/load/steady.h"

#include <algorithm>
#include <cmath>

namespace qlab::experiments {

bool SteadyDetector::add(const WarmupInterval& interval) {
  last_.push_back(interval);
  if (last_.size() > kIntervals) last_.pop_front();
  if (last_.size() < kIntervals) return false;

  double mean_ms = 0;
  for (const WarmupInterval& i : last_) mean_ms += i.median_ms / kIntervals;
  const double allowed_ms = std::max(kFloorMs, kSpread * mean_ms);
  return std::all_of(last_.begin(), last_.end(), [&](const WarmupInterval& i) {
    return i.acked > 0 &&
           static_cast<double>(i.acked) >= kCarried * static_cast<double>(i.offered) &&
           std::abs(i.median_ms - mean_ms) <= allowed_ms;
  });
}

}  // namespace qlab::experiments
