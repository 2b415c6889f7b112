#pragma once
// Runs one task of a node to its end, and the whole world meanwhile: how tests await.

#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "common/check.h"
#include "runtime/simulated/world.h"

namespace qlab::runtime {

template <class T>
struct TaskOutcome {
  using Value = std::conditional_t<std::is_void_v<T>, bool, T>;
  std::optional<Value> value;

  static Task<void> keep(Task<T> task, std::shared_ptr<TaskOutcome> outcome) {
    try {
      if constexpr (std::is_void_v<T>) {
        co_await std::move(task);
        outcome->value.emplace(true);
      } else {
        outcome->value.emplace(co_await std::move(task));
      }
    } catch (const std::exception& e) {
      CHECK_MSG(false, e.what());
    }
  }
};

// Begins it and returns; who wants to know looks at the outcome's value later. A crash of the node
// leaves it without one.
template <class T>
std::shared_ptr<TaskOutcome<T>> begin(SimulatedWorld& world, NodeId node, Task<T> task) {
  auto outcome = std::make_shared<TaskOutcome<T>>();
  boost::asio::co_spawn(world.node(node).executor(), TaskOutcome<T>::keep(std::move(task), outcome),
                        boost::asio::detached);
  return outcome;
}

// A task that does not end within `limit` of virtual time aborts, with the state of the nodes.
template <class T>
T run(SimulatedWorld& world, NodeId node, Task<T> task, Duration limit = std::chrono::hours(1)) {
  const auto outcome = begin(world, node, std::move(task));
  const auto ended = world.run_until([&] { return outcome->value.has_value(); }, limit);
  CHECK_MSG(ended.has_value(), ended.error().message());
  if constexpr (!std::is_void_v<T>) return std::move(*outcome->value);
}

}  // namespace qlab::runtime
