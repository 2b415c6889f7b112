#pragma once
// A node's shards: one thread, one io_context, one io_uring each. A shard owns its partitions and
// connections, so there are no locks above this folder; work for another shard is sent there and
// awaited.

#include <memory>
#include <type_traits>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "runtime/runtime.h"

namespace qlab::runtime {

class Shards {
 public:
  virtual ~Shards() = default;
  virtual std::size_t count() const = 0;  // >= 1
  // Shard 0 is home: it holds the control plane.
  virtual Runtime& shard(std::size_t index) = 0;
};

// Runs `make_task()` on `target` and awaits its value on the caller's shard.
// Requires: the caller is awaited to the end, as everything is that was started (style 6); T is
// movable between threads.
template <class MakeTask>
auto run_on(Runtime& target, MakeTask make_task) -> std::invoke_result_t<MakeTask> {
  using boost::asio::use_awaitable_t;
  co_return co_await boost::asio::co_spawn(target.executor(), std::move(make_task),
                                           use_awaitable_t<Executor>{});
}

}  // namespace qlab::runtime
