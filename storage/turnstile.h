#pragma once
// Who may be at something at a time: any number of visitors, or one alone; first come, first
// served.
//
// A coroutine that is abandoned (runtime/suspension.h) may outlive whoever made the turnstile, so
// the guards keep its state alive.

#include <list>
#include <memory>
#include <optional>

#include "runtime/async.h"

namespace qlab::storage {

// Thread: one shard.
class Turnstile {
  struct State;

 public:
  explicit Turnstile(runtime::Runtime& runtime);

  // Lets go when it is destroyed.
  class [[nodiscard]] Guard {
   public:
    Guard(Guard&& other) noexcept = default;
    Guard& operator=(Guard&&) = delete;
    ~Guard();

   private:
    friend class Turnstile;
    explicit Guard(std::shared_ptr<State> state) : state_(std::move(state)) {}
    std::shared_ptr<State> state_;
  };

  // Waits until nobody is in alone.
  runtime::Task<Guard> visit();
  // Waits until nobody is in at all.
  runtime::Task<Guard> enter_alone();

  // The same without a wait, for hot paths; nothing when there would be one.
  // Cost: no coroutine frame.
  std::optional<Guard> try_visit() { return try_enter(false); }
  std::optional<Guard> try_enter_alone() { return try_enter(true); }

 private:
  runtime::Task<Guard> enter(bool alone);
  std::optional<Guard> try_enter(bool alone);

  const std::shared_ptr<State>& state();

  runtime::Runtime& runtime_;
  std::shared_ptr<State> state_;  // Made when somebody comes: most logs of a node are idle.
};

}  // namespace qlab::storage
