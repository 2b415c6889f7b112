#pragma once
// When sessions end: deadlines in buckets of one tick, so that a touch moves a session between
// buckets and never sorts anything.
//
// Source: ZooKeeper's ExpiryQueue.

#include <map>
#include <set>
#include <unordered_map>
#include <vector>

#include "common/clock.h"

namespace qlab::keeper {

class SessionClock {
 public:
  // Requires: tick > 0.
  explicit SessionClock(Duration tick) : tick_(tick) {}

  // The session was heard of: it ends at the first tick boundary behind now + timeout. One that
  // nobody knew is known from now on.
  void touch(std::int64_t session, Time now, Duration timeout);
  void remove(std::int64_t session);
  // Those that ended, which are forgotten here.
  std::vector<std::int64_t> expired(Time now);
  std::size_t size() const { return bucket_of_.size(); }
  bool knows(std::int64_t session) const { return bucket_of_.contains(session); }

 private:
  Duration tick_;
  std::map<Time, std::set<std::int64_t>> buckets_;  // None is empty.
  std::unordered_map<std::int64_t, Time> bucket_of_;
};

}  // namespace qlab::keeper
