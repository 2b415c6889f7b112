#pragma once
// Wakes fetches that wait for one of many partitions.
//
// A fetch may name thousands of partitions and wait on all of them; each partition here has at most
// one coroutine that waits on it, however many fetches are interested.

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "replication/replicator.h"
#include "runtime/async.h"

namespace qlab::broker {

using runtime::Task;

// Thread: one shard.
class ChangeWatch {
 public:
  // Called on this shard when a partition has changed; who no longer cares lets go of it.
  using Wake = std::function<void()>;

  explicit ChangeWatch(runtime::Runtime& runtime) : runtime_(runtime), gate_(runtime) {}

  // Calls `wake` at each change of the replica, until `due` or until nobody else holds `wake`.
  // No effect after stop().
  void watch(const std::shared_ptr<replication::Replicator>& replica,
             const std::shared_ptr<Wake>& wake, Time due);
  Task<void> stop();

 private:
  struct Relay {
    std::vector<std::weak_ptr<Wake>> waiters;
    Time due;                  // Of the waiter that waits longest.
    std::uint64_t number = 0;  // Of those there ever were.
  };

  Task<void> relay(std::shared_ptr<replication::Replicator> replica);

  runtime::Runtime& runtime_;
  std::map<std::shared_ptr<replication::Replicator>, Relay> relays_;
  std::uint64_t last_relay_ = 0;
  bool stopped_ = false;
  runtime::Gate gate_;
};

}  // namespace qlab::broker
