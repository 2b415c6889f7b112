#pragma once
// A place where one coroutine waits to be resumed once: what Completion, Event and sleeping are
// made of.
//
// Every coroutine that waits here is known to the io_context it runs on. When that context shuts
// down, as in a simulated crash or at the end of a process, the frames of all of them are
// destroyed, although whoever would have resumed them may live on and still hold the suspension.

#include <functional>
#include <memory>

#include <boost/intrusive/list_hook.hpp>

#include "runtime/runtime.h"

namespace qlab::runtime {

// Thread: one shard.
class Suspension : public std::enable_shared_from_this<Suspension>,
                   public boost::intrusive::list_base_hook<
                       boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  explicit Suspension(Executor executor) : executor_(executor) {}
  Suspension(const Suspension&) = delete;
  Suspension& operator=(const Suspension&) = delete;

  // Lets the coroutine go on, through the executor and never from within this call. May come before
  // the wait, which then does not suspend. No effect the second time, or after the context shut
  // down.
  void resume();
  bool is_waiting() const { return static_cast<bool>(handler_); }

  // Requires: at most one waiter ever.
  static Task<void> wait(std::shared_ptr<Suspension> self);

  // How many coroutines wait on this context. An idle one that should not be tells it so.
  static std::size_t waiting_on(Executor executor);
  // True once the context shut down: nothing on it is ever resumed again.
  static bool is_abandoned(Executor executor);

 private:
  friend class Suspensions;
  void park(std::function<void()> handler);
  void abandon();

  Executor executor_;
  bool resumed_ = false;
  std::function<void()> handler_;  // Empty unless a coroutine waits.
};

}  // namespace qlab::runtime
