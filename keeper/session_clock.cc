#include "keeper/session_clock.h"

namespace qlab::keeper {

void SessionClock::touch(std::int64_t session, Time now, Duration timeout) {
  const Duration due = (now + timeout).time_since_epoch();
  const Time bucket{(due / tick_ + 1) * tick_};
  const auto known = bucket_of_.find(session);
  if (known != bucket_of_.end() && known->second >= bucket) return;  // A touch never shortens it.
  remove(session);
  buckets_[bucket].insert(session);
  bucket_of_[session] = bucket;
}

void SessionClock::remove(std::int64_t session) {
  const auto known = bucket_of_.find(session);
  if (known == bucket_of_.end()) return;
  const auto bucket = buckets_.find(known->second);
  bucket->second.erase(session);
  if (bucket->second.empty()) buckets_.erase(bucket);
  bucket_of_.erase(known);
}

std::vector<std::int64_t> SessionClock::expired(Time now) {
  std::vector<std::int64_t> ended;
  while (!buckets_.empty() && buckets_.begin()->first <= now) {
    for (const std::int64_t session : buckets_.begin()->second) {
      ended.push_back(session);
      bucket_of_.erase(session);
    }
    buckets_.erase(buckets_.begin());
  }
  return ended;
}

}  // namespace qlab::keeper
