#pragma once
// The zk controller's one thread: events are worked off one at a time, in the order in which they
// came, each to its end.
//
// Source: Kafka 3.9, ControllerEventManager.

#include <deque>
#include <functional>

#include "runtime/async.h"

namespace qlab::controller {

class EventThread {
 public:
  using Event = std::function<runtime::Task<void>()>;
  static constexpr std::size_t events_max = 10'000;

  // `after` is called at the end of each event.
  EventThread(runtime::Runtime& runtime, std::function<void()> after)
      : runtime_(runtime), after_(std::move(after)), wake_(runtime), gate_(runtime) {}

  void start() {
    gate_.start([this] { return run(); });
  }
  // Works off what is queued and ends.
  runtime::Task<void> stop() {
    stopping_ = true;
    wake_.notify_all();
    co_await gate_.close();
  }

  // False when there are events_max already, or after stop(). What the program tells itself
  // (`must`) is always taken: there is a bounded number of it.
  bool put(Event event, bool must = false) {
    if (stopping_ || (!must && events_.size() >= events_max)) return false;
    events_.push_back(std::move(event));
    wake_.notify_all();
    return true;
  }
  // Wakes after each event.
  runtime::Event& progress() { return wake_; }

 private:
  runtime::Task<void> run() {
    while (!stopping_ || !events_.empty()) {
      if (events_.empty()) {
        co_await wake_.wait();
        continue;
      }
      const Event event = std::move(events_.front());
      events_.pop_front();
      co_await event();
      after_();
      wake_.notify_all();
    }
  }

  runtime::Runtime& runtime_;
  const std::function<void()> after_;
  std::deque<Event> events_;
  bool stopping_ = false;
  runtime::Event wake_;
  runtime::Gate gate_;
};

}  // namespace qlab::controller
