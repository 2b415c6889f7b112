#pragma once
// The four small tools that coroutines are built with: Completion (one value, later), Event
// (something changed), Gate (everything started is joined), and sleeping.
//
// Thread: one shard. A waiter is always resumed through the executor, never from within the call
// that wakes it.

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include <boost/asio/async_result.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "common/check.h"
#include "runtime/runtime.h"

namespace qlab::runtime {

// A value that somebody will bring: one waiter, one value, in either order.
// Shared by copying: the side that sets and the side that waits hold the same state.
template <class T>
class Completion {
 public:
  explicit Completion(Executor executor) : state_(std::make_shared<State>(executor)) {}

  // Requires: not set before.
  void set(T value) {
    CHECK(!state_->value.has_value());
    state_->value.emplace(std::move(value));
    state_->wake();
  }
  bool is_set() const { return state_->value.has_value(); }

  // Requires: at most one waiter ever.
  Task<T> wait() { return wait_on(state_); }

 private:
  struct State {
    explicit State(Executor e) : executor(e) {}
    void wake() {
      if (!waiter) return;
      boost::asio::post(executor, std::exchange(waiter, nullptr));
    }
    Executor executor;
    std::optional<T> value;
    std::function<void()> waiter;
  };

  static Task<T> wait_on(std::shared_ptr<State> state) {
    if (!state->value.has_value()) co_await suspend(state);
    T value = std::move(*state->value);
    co_return value;
  }
  static auto suspend(std::shared_ptr<State> state) {
    return boost::asio::async_initiate<boost::asio::use_awaitable_t<Executor>, void()>(
        [state](auto handler) {
          CHECK(!state->waiter);
          // std::function wants a copyable target; the handler is not, so it is shared.
          auto shared = std::make_shared<decltype(handler)>(std::move(handler));
          state->waiter = [shared] { std::move (*shared)(); };
        },
        boost::asio::use_awaitable_t<Executor>{});
  }

  std::shared_ptr<State> state_;
};

// Wakes everyone who waits, once per notify(). A waiter re-checks what it waited for.
class Event {
 public:
  explicit Event(Runtime& runtime);
  ~Event();  // Requires: nobody waits.
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void notify_all();
  Task<void> wait();
  // True when notified, false when `due` came first.
  Task<bool> wait_until(Time due);

 private:
  struct Waiter;
  Runtime& runtime_;
  std::vector<std::shared_ptr<Waiter>> waiters_;
};

// Returns at `due` or later.
Task<void> sleep_until(Runtime& runtime, Time due);
Task<void> sleep_for(Runtime& runtime, Duration duration);

// Joins what was started: start() through it, and close() before the owner goes.
class Gate {
 public:
  explicit Gate(Runtime& runtime);
  ~Gate();  // Requires: closed, or nothing was ever started.

  // Starts `task` in the background. An exception that leaves it is a defect and aborts with its
  // words. Requires: not closed.
  void start(std::function<Task<void>()> task);
  bool is_closed() const { return closed_; }
  // From here on nothing may be started; returns when all that was started has ended.
  // The owner makes its tasks end, by closing what they wait for, before it calls this.
  Task<void> close();
  std::size_t running() const { return running_; }

 private:
  Runtime& runtime_;
  std::size_t running_ = 0;
  bool closed_ = false;
  Event ended_;
};

}  // namespace qlab::runtime
