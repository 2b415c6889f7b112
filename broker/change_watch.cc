#include "broker/change_watch.h"

namespace qlab::broker {

void ChangeWatch::watch(const std::shared_ptr<replication::Replicator>& replica,
                        const std::shared_ptr<Wake>& wake, Time due) {
  if (stopped_) return;
  const auto [at, is_new] = relays_.try_emplace(replica);
  Relay& entry = at->second;
  std::erase_if(entry.waiters, [](const auto& waiter) { return waiter.expired(); });
  entry.waiters.push_back(wake);
  entry.due = is_new ? due : std::max(entry.due, due);
  if (is_new) entry.number = ++last_relay_;
  if (is_new) gate_.start([this, replica] { return relay(replica); });
}

Task<void> ChangeWatch::relay(std::shared_ptr<replication::Replicator> replica) {
  // A change between watch() and this line was told to nobody, so they look once more.
  bool is_changed = true;
  while (!stopped_) {
    // Those who come while others are woken have yet to look at the partition.
    const auto waiters = relays_.at(replica).waiters;
    for (const auto& waiter : waiters) {
      const auto wake = waiter.lock();
      if (is_changed && wake != nullptr) (*wake)();
    }
    const auto at = relays_.find(replica);
    std::erase_if(at->second.waiters, [](const auto& waiter) { return waiter.expired(); });
    if (at->second.waiters.empty() || at->second.due <= runtime_.now()) break;
    is_changed = co_await replica->changed().wait_until(at->second.due);
  }
  relays_.erase(replica);
}

Task<void> ChangeWatch::stop() {
  stopped_ = true;
  // In the order in which they came, not in that of their addresses.
  std::map<std::uint64_t, std::shared_ptr<replication::Replicator>> waiting;
  for (const auto& [replica, entry] : relays_) waiting.emplace(entry.number, replica);
  for (const auto& [number, replica] : waiting) replica->changed().notify_all();
  co_await gate_.close();
}

}  // namespace qlab::broker
