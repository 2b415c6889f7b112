#pragma once
// A broker's standing with the controller: registered, unfenced, kept alive by heartbeats, and let
// go in an orderly way.
//
// Source: KIP-631, "Broker Registration and Heartbeat"; KIP-841 for the controlled shutdown.

#include <functional>
#include <optional>

#include "controller/controller.h"
#include "runtime/async.h"

namespace qlab::broker {

using runtime::Task;

struct LifecycleContext {
  controller::Registration registration;
  Duration heartbeat_interval{};
  std::function<LogIndex()> applied;  // Last metadata entry applied by this broker.
  std::function<void()> on_unfenced;  // Each time the controller lets it in.
  std::function<void(BrokerEpoch)> on_registered = {};
};

// Thread: the home shard.
class Lifecycle {
 public:
  Lifecycle(runtime::Runtime& runtime, controller::Controller& controller,
            LifecycleContext context);

  // Registers, again and again until it succeeds, then sends heartbeats. A broker whose epoch has
  // become stale registers anew.
  void start();
  // Asks to be let go until the controller agrees, `wait_max` has passed, or there is nobody to
  // ask; then ends. Requires: the controller still answers or refuses calls.
  Task<void> shut_down(Duration wait_max);
  // Ends without a word to the controller, once calls under way have ended.
  Task<void> stop();

  // False when no controller has confirmed this broker for `session_timeout`: it may have been
  // fenced since, and not have heard of it.
  bool is_in_session(Duration session_timeout) const {
    return confirmed_at_ && runtime_.now() < *confirmed_at_ + session_timeout;
  }
  // Of the present registration; nothing before the first.
  std::optional<BrokerEpoch> epoch() const { return epoch_; }

 private:
  Task<void> run();
  Task<void> register_until_done();
  Task<void> heartbeat_until_stale();
  Task<Result<controller::HeartbeatReply>> send_heartbeat(bool want_shutdown, Time deadline);
  Time call_deadline() const;
  void complain(std::string_view what, const Error& error);

  runtime::Runtime& runtime_;
  controller::Controller& controller_;
  LifecycleContext context_;
  std::optional<BrokerEpoch> epoch_;
  bool fenced_ = true;
  std::optional<Time> confirmed_at_;  // When the last heartbeat was sent that found us unfenced.
  bool stopped_ = false;
  std::string last_complaint_;  // The same words are logged once.
  runtime::Event wake_;         // stop() was called.
  runtime::Gate gate_;
};

}  // namespace qlab::broker
