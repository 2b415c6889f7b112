#include "runtime/real/timers.h"

#include <vector>

namespace qlab::runtime {

Time monotonic_now() {
  return Time(std::chrono::steady_clock::now().time_since_epoch());
}

TimerId TimerQueue::call_at(Time due, std::function<void()> callback) {
  last_ = last_.next();
  waiting_.emplace(Key{due, last_}, std::move(callback));
  due_.emplace(last_, due);
  arm();
  return last_;
}

void TimerQueue::cancel(TimerId timer) {
  const auto found = due_.find(timer);
  if (found == due_.end()) return;
  waiting_.erase(Key{found->second, timer});
  due_.erase(found);
  // The system's timer may now ring for nobody, which costs less than setting it anew.
}

void TimerQueue::arm() {
  if (waiting_.empty()) return;
  const Time first = waiting_.begin()->first.first;
  if (first >= armed_for_) return;
  armed_for_ = first;
  timer_.expires_at(std::chrono::steady_clock::time_point(first.time_since_epoch()));
  timer_.async_wait([this](boost::system::error_code error) {
    if (error) return;  // Set anew for an earlier deadline.
    armed_for_ = Time::max();
    fire();
    arm();
  });
}

// Only what is due at the start runs, so a callback that sets timers of the past starves nobody.
void TimerQueue::fire() {
  const Time now = monotonic_now();
  std::vector<Key> ready;
  for (const auto& [key, callback] : waiting_) {
    if (key.first > now) break;
    ready.push_back(key);
  }
  for (const Key& key : ready) {
    auto node = waiting_.extract(key);
    if (!node) continue;  // Cancelled by a callback before it.
    due_.erase(key.second);
    node.mapped()();
  }
}

}  // namespace qlab::runtime
