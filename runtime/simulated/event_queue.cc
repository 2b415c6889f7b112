#include "runtime/simulated/event_queue.h"

#include <algorithm>

#include "common/check.h"

namespace qlab::runtime {

EventQueue::Id EventQueue::at(Time due, std::function<void()> action) {
  const Id id{std::max(due, now_), ++last_};
  events_.emplace(id, std::move(action));
  return id;
}

EventQueue::Id EventQueue::run_next() {
  CHECK(!events_.empty());
  auto event = events_.extract(events_.begin());
  now_ = event.key().first;
  event.mapped()();
  return event.key();
}

void EventQueue::advance(Time to) {
  CHECK(to >= now_);
  CHECK(to <= next_due());
  now_ = to;
}

}  // namespace qlab::runtime
