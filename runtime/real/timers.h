#pragma once
// A shard's timers: an ordered set of deadlines over one timer of the system.

#include <functional>
#include <map>
#include <unordered_map>
#include <utility>

#include <boost/asio/basic_waitable_timer.hpp>

#include "runtime/runtime.h"

namespace qlab::runtime {

// CLOCK_MONOTONIC, which all processes of a host share.
Time monotonic_now();

// Thread: the shard's.
class TimerQueue {
 public:
  explicit TimerQueue(boost::asio::io_context& context) : timer_(context.get_executor()) {}

  TimerId call_at(Time due, std::function<void()> callback);
  void cancel(TimerId timer);

 private:
  using SystemTimer = boost::asio::basic_waitable_timer<
      std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>, Executor>;
  using Key = std::pair<Time, TimerId>;  // Equal deadlines fire in the order of the calls.

  void arm();
  void fire();

  SystemTimer timer_;
  std::map<Key, std::function<void()>> waiting_;
  std::unordered_map<TimerId, Time> due_;  // The same timers, by id.
  TimerId last_{0};
  Time armed_for_ = Time::max();  // max: the system's timer is not set.
};

}  // namespace qlab::runtime
