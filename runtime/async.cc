#include "runtime/async.h"

#include <exception>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace qlab::runtime {

struct Event::Waiter : Suspension {
  using Suspension::Suspension;
  TimerId timer;  // 0: waits without a limit.
  bool notified = false;
};

Event::~Event() {
  if (waiters_.empty()) return;
  CHECK_MSG(Suspension::is_abandoned(runtime_.executor()),
            "an event is destroyed under its waiter");
}

void Event::notify_all() {
  for (const auto& waiter : std::exchange(waiters_, {})) {
    waiter->notified = true;
    // Here and not by the waiter, which goes on later, when this event may be gone.
    if (waiter->timer != TimerId{}) runtime_.cancel(waiter->timer);
    waiter->resume();
  }
}

Task<void> Event::wait() {
  auto waiter = std::make_shared<Waiter>(runtime_.executor());
  waiters_.push_back(waiter);
  co_await Suspension::wait(waiter);
}

Task<bool> Event::wait_until(Time due) {
  auto waiter = std::make_shared<Waiter>(runtime_.executor());
  waiters_.push_back(waiter);
  waiter->timer = runtime_.call_at(due, [this, waiter] {
    std::erase(waiters_, waiter);
    waiter->resume();
  });
  co_await Suspension::wait(waiter);
  co_return waiter->notified;
}

Task<void> sleep_until(Runtime& runtime, Time due) {
  auto waiter = std::make_shared<Suspension>(runtime.executor());
  runtime.call_at(due, [waiter] { waiter->resume(); });
  co_await Suspension::wait(waiter);
}

Task<void> sleep_for(Runtime& runtime, Duration duration) {
  return sleep_until(runtime, runtime.now() + duration);
}

Task<void> yield(Runtime& runtime) {
  co_await boost::asio::post(runtime.executor(), boost::asio::use_awaitable_t<Executor>{});
}

struct Gate::State {
  explicit State(Runtime& r) : runtime(r), ended(r) {}
  Runtime& runtime;
  std::size_t running = 0;
  Event ended;  // The last one that ran has ended.
};

Gate::Gate(Runtime& runtime) : state_(std::make_shared<State>(runtime)) {}

Gate::~Gate() {
  if (state_->running == 0) return;
  CHECK_MSG(Suspension::is_abandoned(state_->runtime.executor()),
            "a gate is destroyed while what it started still runs");
}

// One task's place among those that run. Given up on every way out, also when the frame that holds
// it is destroyed because the node was abandoned, before its first line or at any later one.
class Gate::Entry {
 public:
  explicit Entry(std::shared_ptr<State> state) : state_(std::move(state)) { ++state_->running; }
  Entry(Entry&&) = default;
  Entry& operator=(Entry&&) = delete;
  ~Entry() {
    if (state_) --state_->running;
  }
  void leave() {
    const auto state = std::exchange(state_, nullptr);
    if (--state->running == 0) state->ended.notify_all();
  }
  Executor executor() const { return state_->runtime.executor(); }

 private:
  std::shared_ptr<State> state_;
};

void Gate::start(std::function<Task<void>()> task) {
  CHECK(!closed_);
  boost::asio::co_spawn(state_->runtime.executor(), run(Entry(state_), std::move(task)),
                        boost::asio::detached);
}

Task<void> Gate::run(Entry entry, std::function<Task<void>()> task) {
  co_await boost::asio::post(entry.executor(), boost::asio::use_awaitable_t<Executor>{});
  try {
    co_await task();
  } catch (const std::exception& e) {
    CHECK_MSG(false, e.what());
  } catch (...) {
    CHECK_MSG(false, "a task ended with an exception that is not a std::exception");
  }
  // What it has captured may belong to the owner, who may go once the gate is closed.
  task = nullptr;
  entry.leave();
}

Task<void> Gate::close() {
  closed_ = true;
  const auto state = state_;
  while (state->running > 0) co_await state->ended.wait();
}

std::size_t Gate::running() const {
  return state_->running;
}

}  // namespace qlab::runtime
