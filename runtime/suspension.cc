#include "runtime/suspension.h"

#include <utility>

#include <boost/asio/async_result.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/intrusive/list.hpp>

#include "common/check.h"

namespace qlab::runtime {

using boost::asio::execution_context;

// All coroutines that wait on one context. Asio shuts services down before the queue of handlers,
// so the frames that end here are destroyed with that queue.
class Suspensions final : public execution_context::service {
 public:
  using key_type = Suspensions;
  static execution_context::id id;

  explicit Suspensions(execution_context& context) : service(context) {}
  static Suspensions& of(Executor executor) {
    return boost::asio::use_service<Suspensions>(executor.context());
  }

  void shutdown() override {
    abandoned_ = true;
    // The last to wait goes first: it is the most likely to use what others own.
    while (!waiting_.empty()) waiting_.back().abandon();
  }

  boost::intrusive::list<Suspension, boost::intrusive::constant_time_size<false>> waiting_;
  bool abandoned_ = false;
};

execution_context::id Suspensions::id;

void Suspension::resume() {
  if (std::exchange(resumed_, true) || !handler_) return;
  unlink();
  boost::asio::post(executor_, std::exchange(handler_, nullptr));
}

void Suspension::park(std::function<void()> handler) {
  CHECK(!handler_);
  Suspensions& all = Suspensions::of(executor_);
  if (all.abandoned_) return;
  handler_ = std::move(handler);
  all.waiting_.push_back(*this);
}

void Suspension::abandon() {
  // The handler owns the coroutine's frame and that holds this: keep it until both are taken apart.
  const auto self = shared_from_this();
  unlink();
  resumed_ = true;
  std::exchange(handler_, nullptr);
}

Task<void> Suspension::wait(std::shared_ptr<Suspension> self) {
  if (self->resumed_) co_return;
  boost::asio::use_awaitable_t<Executor> token;
  // `self` lives in this frame. A capture with a destructor must not be made within a co_await: GCC
  // 12 destroys it twice (PR101367).
  co_await boost::asio::async_initiate<boost::asio::use_awaitable_t<Executor>, void()>(
      [place = self.get()](auto handler) {
        // std::function wants a copyable target; the handler is not, so it is shared.
        auto shared = std::make_shared<decltype(handler)>(std::move(handler));
        place->park([shared] { std::move (*shared)(); });
      },
      token);
}

std::size_t Suspension::waiting_on(Executor executor) {
  return Suspensions::of(executor).waiting_.size();
}

bool Suspension::is_abandoned(Executor executor) {
  return Suspensions::of(executor).abandoned_;
}

}  // namespace qlab::runtime
