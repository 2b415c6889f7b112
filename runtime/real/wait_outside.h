#pragma once
// A coroutine that waits for something the executor does not know: the kernel's completion queue,
// gRPC's, or a helper thread.

#include <memory>
#include <utility>

#include <boost/asio/async_result.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "runtime/runtime.h"

namespace qlab::runtime {

// The coroutine that waits. Resumed once at most; destroying it destroys the coroutine.
template <class T>
class Waiter {
 public:
  virtual ~Waiter() = default;
  // Thread: that of the waiting coroutine's executor.
  virtual void resume(T value) = 0;
};

namespace detail {

template <class T, class Handler>
class HandlerWaiter final : public Waiter<T> {
 public:
  explicit HandlerWaiter(Handler handler) : handler_(std::move(handler)) {}
  void resume(T value) override { std::move(handler_)(std::move(value)); }

 private:
  Handler handler_;
};

}  // namespace detail

// Calls start(std::unique_ptr<Waiter<T>>) and suspends until that waiter is resumed.
// Requires: start does not resume it from within the call.
template <class T, class Start>
Task<T> wait_outside(Start start) {
  boost::asio::use_awaitable_t<Executor> token;
  return boost::asio::async_initiate<boost::asio::use_awaitable_t<Executor>, void(T)>(
      [](auto handler, Start begin) {
        using Handler = decltype(handler);
        begin(std::make_unique<detail::HandlerWaiter<T, Handler>>(std::move(handler)));
      },
      token, std::move(start));
}

}  // namespace qlab::runtime
