#pragma once
// How fast new partitions come into the metadata log.
//
// What is committed is work for all brokers at once, so that many new partitions would keep every
// processor busy until all are made. Clients of the others would wait that long: so replicas come
// at a rate that leaves most of the processors idle, a few at a time, and a million of them within
// a minute. Few come at once: the first entry after a while of none is not paced.

#include <algorithm>
#include <cstddef>

#include "common/clock.h"

namespace qlab::controller {

class CreationPace {
 public:
  static constexpr Duration per_replica = std::chrono::microseconds(60);
  // Replicas that may come at once after a while of none: an entry, at most.
  static constexpr std::size_t replicas_at_once_max = 1000;
  // Replicas for which an entry is worth its syncs.
  static constexpr std::size_t replicas_at_once_min = 250;

  // Replicas that may come now, at most replicas_at_once_max.
  std::size_t allowed(Time now) const {
    if (now <= paid_until_) return 0;
    const auto passed = static_cast<std::size_t>((now - paid_until_) / per_replica);
    return std::min(passed, replicas_at_once_max);
  }
  // When so many of them may come, at most replicas_at_once_max.
  Time due(std::size_t replicas) const {
    return paid_until_ + per_replica * static_cast<std::int64_t>(replicas);
  }
  // So many come now; more than are allowed have to be made up for.
  void note(Time now, std::size_t replicas) {
    const Duration saved_max = per_replica * static_cast<std::int64_t>(replicas_at_once_max);
    paid_until_ = std::max(paid_until_, now - saved_max);
    paid_until_ += per_replica * static_cast<std::int64_t>(replicas);
  }

 private:
  Time paid_until_{Duration::min() / 2};  // What came until now counts as come by then.
};

}  // namespace qlab::controller
