#include "storage/turnstile.h"

#include "common/check.h"

namespace qlab::storage {

struct Turnstile::State {
  struct Waiter {
    bool alone;
    std::shared_ptr<runtime::Suspension> place;
  };

  explicit State(runtime::Executor e) : executor(e) {}

  bool may_enter(bool wants_alone) const { return inside == 0 || (!alone && !wants_alone); }
  void let_in(bool enters_alone) {
    alone = enters_alone;
    ++inside;
  }
  void leave() {
    CHECK(inside > 0);
    if (--inside == 0) alone = false;
    // Whoever is woken is in already, so nobody overtakes it on its way.
    while (!queue.empty() && may_enter(queue.front().alone)) {
      let_in(queue.front().alone);
      queue.front().place->resume();
      queue.pop_front();
    }
  }

  runtime::Executor executor;
  std::size_t inside = 0;
  bool alone = false;       // Requires: inside <= 1 while it is true.
  std::list<Waiter> queue;  // One entry per coroutine that awaits. An empty deque takes 600 bytes.
};

Turnstile::Turnstile(runtime::Runtime& runtime) : runtime_(runtime) {}

const std::shared_ptr<Turnstile::State>& Turnstile::state() {
  if (!state_) state_ = std::make_shared<State>(runtime_.executor());
  return state_;
}

Turnstile::Guard::~Guard() {
  if (state_) state_->leave();
}

runtime::Task<Turnstile::Guard> Turnstile::visit() {
  return enter(false);
}

runtime::Task<Turnstile::Guard> Turnstile::enter_alone() {
  return enter(true);
}

std::optional<Turnstile::Guard> Turnstile::try_enter(bool alone) {
  State& now = *state();
  if (!now.queue.empty() || !now.may_enter(alone)) return std::nullopt;
  now.let_in(alone);
  return Guard(state_);
}

runtime::Task<Turnstile::Guard> Turnstile::enter(bool alone) {
  std::optional<Guard> free = try_enter(alone);
  if (free) co_return std::move(*free);
  const std::shared_ptr<State> kept = state_;
  const auto place = std::make_shared<runtime::Suspension>(kept->executor);
  kept->queue.push_back({alone, place});
  co_await runtime::Suspension::wait(place);
  co_return Guard(kept);
}

}  // namespace qlab::storage
