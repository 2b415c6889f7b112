#include "broker/lifecycle.h"

#include "common/logging.h"
#include "runtime/trace.h"

namespace qlab::broker {
namespace {

using std::chrono::milliseconds;

// A call that a silent controller does not answer is made anew after so long, perhaps to another.
constexpr Duration call_patience_min = milliseconds(500);
// While fenced, the broker is only waiting to have caught up.
constexpr Duration fenced_interval = milliseconds(20);
constexpr Duration retry_pause = milliseconds(100);
constexpr Duration shutdown_interval = milliseconds(50);

}  // namespace

Lifecycle::Lifecycle(runtime::Runtime& runtime, controller::Controller& controller,
                     LifecycleContext context)
    : runtime_(runtime),
      controller_(controller),
      context_(std::move(context)),
      wake_(runtime),
      gate_(runtime) {}

void Lifecycle::start() {
  gate_.start([this] { return run(); });
}

Task<void> Lifecycle::run() {
  while (!stopped_) {
    co_await register_until_done();
    co_await heartbeat_until_stale();
  }
}

void Lifecycle::complain(std::string_view what, const Error& error) {
  std::string words = fmt::format("{}: {}; trying again", what, error.message());
  if (stopped_ || words == last_complaint_) return;
  log(LogLevel::warn, "broker", "{}", words);
  last_complaint_ = std::move(words);
}

Task<void> Lifecycle::register_until_done() {
  while (!stopped_) {
    const auto epoch = co_await controller_.register_broker(context_.registration, call_deadline());
    if (epoch) {
      epoch_ = *epoch;
      if (context_.on_registered) context_.on_registered(*epoch);
      fenced_ = true;
      last_complaint_.clear();
      runtime_.trace().emit("broker_registered", {{"broker_epoch", epoch->value()}});
      log(LogLevel::info, "broker", "registered with epoch {}", *epoch);
      co_return;
    }
    complain("cannot register", epoch.error());
    co_await wake_.wait_until(runtime_.now() + retry_pause);
  }
}

Time Lifecycle::call_deadline() const {
  return runtime_.now() + std::max(call_patience_min, context_.heartbeat_interval);
}

Task<Result<controller::HeartbeatReply>> Lifecycle::send_heartbeat(bool want_shutdown,
                                                                   Time deadline) {
  controller::Heartbeat heartbeat;
  heartbeat.broker = context_.registration.broker;
  heartbeat.epoch = *epoch_;
  heartbeat.metadata_offset = context_.applied();
  heartbeat.want_shutdown = want_shutdown;
  co_return co_await controller_.heartbeat(heartbeat, deadline);
}

Task<void> Lifecycle::heartbeat_until_stale() {
  while (!stopped_) {
    const Time sent = runtime_.now();
    const auto reply = co_await send_heartbeat(false, call_deadline());
    if (stopped_) co_return;
    if (!reply) {
      complain("no heartbeat", reply.error());
      if (reply.error().code == Errc::fenced) co_return;
      co_await wake_.wait_until(runtime_.now() + retry_pause);
      continue;
    }
    last_complaint_.clear();
    if (!reply->fenced) confirmed_at_ = sent;
    if (std::exchange(fenced_, reply->fenced) && !fenced_) {
      runtime_.trace().emit("broker_unfenced", {});
      log(LogLevel::info, "broker", "unfenced by the controller");
      context_.on_unfenced();
    }
    co_await wake_.wait_until(sent + (fenced_
                                          ? std::min(fenced_interval, context_.heartbeat_interval)
                                          : context_.heartbeat_interval));
  }
}

Task<void> Lifecycle::shut_down(Duration wait_max) {
  stopped_ = true;
  wake_.notify_all();
  const Time give_up = runtime_.now() + wait_max;
  while (epoch_ && runtime_.now() < give_up) {
    const auto reply = co_await send_heartbeat(true, std::min(give_up, call_deadline()));
    if (reply && reply->may_shut_down) break;
    if (!reply && reply.error().code == Errc::fenced) break;
    co_await runtime::sleep_for(runtime_, shutdown_interval);
  }
  co_await gate_.close();
}

Task<void> Lifecycle::stop() {
  stopped_ = true;
  wake_.notify_all();
  co_await gate_.close();
}

}  // namespace qlab::broker
