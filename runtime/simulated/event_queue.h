#pragma once
// Virtual time and what is going to happen in it.

#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "common/clock.h"

namespace qlab::runtime {

// Events ordered by (time, sequence): those of one instant happen in the order in which they were
// scheduled. Invariant: now() never goes back.
class EventQueue {
 public:
  // Names one event for good. The default names none.
  using Id = std::pair<Time, std::uint64_t>;

  explicit EventQueue(Time start) : now_(start) {}

  Time now() const { return now_; }
  // In the past means now, after all that is due now.
  Id at(Time due, std::function<void()> action);
  Id after(Duration delay, std::function<void()> action) {
    return at(now_ + delay, std::move(action));
  }
  void cancel(Id id) { events_.erase(id); }  // No effect on one that has happened.

  bool empty() const { return events_.empty(); }
  Time next_due() const { return empty() ? Time::max() : events_.begin()->first.first; }
  // Moves to the time of the next event and lets it happen. Requires: not empty.
  Id run_next();
  // Moves on without an event. Requires: `to` lies between now and the next event.
  void advance(Time to);

 private:
  Time now_;
  std::uint64_t last_ = 0;
  std::map<Id, std::function<void()>> events_;
};

}  // namespace qlab::runtime
