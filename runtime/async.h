#pragma once
// The four small tools that coroutines are built with: Completion (one value, later), Event
// (something changed), Gate (everything started is joined), and sleeping.
//
// A coroutine that waits in one of them when its io_context shuts down is abandoned: its frame is
// destroyed and it never goes on (suspension.h). Then the requirements on destruction below do not
// hold any more.
//
// Thread: one shard. A waiter is always resumed through the executor, never from within the call
// that wakes it.

#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "common/check.h"
#include "runtime/runtime.h"
#include "runtime/suspension.h"

namespace qlab::runtime {

// A value that somebody will bring: one waiter, one value, in either order.
// Shared by copying: the side that sets and the side that waits hold the same state. Who sets it
// does so in stop() at the latest, or the waiter waits for as long as the context lives.
template <class T>
class Completion {
 public:
  explicit Completion(Executor executor) : state_(std::make_shared<State>(executor)) {}

  // Requires: not set before.
  void set(T value) {
    CHECK(!state_->value.has_value());
    state_->value.emplace(std::move(value));
    state_->waiter->resume();
  }
  bool is_set() const { return state_->value.has_value(); }

  // Requires: at most one waiter ever.
  Task<T> wait() { return wait_on(state_); }

 private:
  struct State {
    explicit State(Executor executor) : waiter(std::make_shared<Suspension>(executor)) {}
    std::shared_ptr<Suspension> waiter;
    std::optional<T> value;
  };

  static Task<T> wait_on(std::shared_ptr<State> state) {
    if (!state->value.has_value()) co_await Suspension::wait(state->waiter);
    T value = std::move(*state->value);
    co_return value;
  }

  std::shared_ptr<State> state_;
};

// Wakes everyone who waits, once per notify_all(). A waiter re-checks what it waited for.
class Event {
 public:
  explicit Event(Runtime& runtime) : runtime_(runtime) {}
  ~Event();  // Requires: nobody waits. Who was notified and has not gone on yet does not count.
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void notify_all();
  Task<void> wait();
  // True when notified, false when `due` came first.
  Task<bool> wait_until(Time due);

 private:
  struct Waiter;
  Runtime& runtime_;
  std::vector<std::shared_ptr<Waiter>> waiters_;  // In the order in which they came.
};

// Returns at `due` or later.
Task<void> sleep_until(Runtime& runtime, Time due);
Task<void> sleep_for(Runtime& runtime, Duration duration);

// Returns once all that is ready now has gone on: whoever gathers work for one call waits so.
Task<void> yield(Runtime& runtime);

// Joins what was started: start() through it, and close() before the owner goes.
class Gate {
 public:
  explicit Gate(Runtime& runtime);
  ~Gate();  // Requires: all that was started has ended.
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // Starts `task` in the background: its first line runs from the executor. What the function has
  // captured lives as long as the task. An exception that leaves it is a defect and aborts with its
  // words. Requires: not closed.
  void start(std::function<Task<void>()> task);
  bool is_closed() const { return closed_; }
  // From here on nothing may be started; returns when all that was started has ended. A second call
  // waits likewise. The owner makes its tasks end, by closing what they wait for, before it calls
  // this.
  Task<void> close();
  std::size_t running() const;

 private:
  struct State;  // Shared with the tasks, which may outlive a gate that was abandoned.
  class Entry;
  static Task<void> run(Entry entry, std::function<Task<void>()> task);

  bool closed_ = false;
  std::shared_ptr<State> state_;
};

}  // namespace qlab::runtime
