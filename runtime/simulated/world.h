#pragma once
// A world of nodes in one thread, from one seed: virtual time, and every fault under control.
//
//   SimulatedWorld world(seed);
//   world.boot(NodeId(1), [](Runtime& runtime) { return std::make_shared<Server>(runtime); });
//   CHECK(world.run_until([&] { return served == 10; }, std::chrono::seconds(30)).has_value());
//
// The next event happens, then every node runs until nobody has anything to do at that instant,
// then the observer looks, then time moves on. Equal seeds and equal calls give equal digests.
//
// Thread: one. Nodes are crashed and booted between events: from at(), from the observer, or by who
// runs the world, never by a node's own code.

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "runtime/shards.h"
#include "runtime/simulated/event_queue.h"
#include "runtime/simulated/fabric.h"
#include "runtime/simulated/journal.h"
#include "runtime/simulated/node.h"
#include "runtime/simulated/options.h"

namespace qlab::runtime {

class SimulatedWorld {
 public:
  explicit SimulatedWorld(std::uint64_t seed, WorldOptions options = {});
  ~SimulatedWorld();
  SimulatedWorld(const SimulatedWorld&) = delete;
  SimulatedWorld& operator=(const SimulatedWorld&) = delete;

  // Makes the node at its first use: up, with an empty disk and no program.
  SimulatedNode& node(NodeId id);
  // The node as the only shard of a process.
  Shards& shards(NodeId id);

  // Runs a program on the node. Requires: it runs none.
  void boot(NodeId id, const Boot& boot);
  // Ends the program, if it runs one, and takes the node down until it boots. Requires: it is up.
  void crash(NodeId id, CrashOptions how = {});
  // Crashes a node that is up, and boots it.
  void restart(NodeId id, const Boot& boot, CrashOptions how = {});
  // A paused node runs nothing; what reaches it waits. Its clock goes on, as after SIGSTOP.
  void pause(NodeId id) { node(id).set_paused(true); }
  void resume(NodeId id) { node(id).set_paused(false); }

  // Partitions, slow links and breaks.
  Fabric& fabric() { return fabric_; }

  // World time: what the clock of a node without offset and drift shows.
  Time now() const { return queue_.now(); }
  // For who steers the world: faults, checks, load. Not bound to any node's life.
  void at(Time due, std::function<void()> action) { queue_.at(due, std::move(action)); }
  void after(Duration delay, std::function<void()> action) {
    queue_.after(delay, std::move(action));
  }
  // Called after every event, when all nodes have come to rest.
  void observe(std::function<void()> observer) { observer_ = std::move(observer); }

  // One event and what follows from it. False when nothing will ever happen by itself.
  bool step();
  void run_until(Time end);
  void run_for(Duration duration) { run_until(now() + duration); }
  // Errors: timed_out, when it does not hold after `limit`; aborted, when the world is idle and so
  // it never will. Both say what the nodes were waiting for.
  Result<void> run_until(const std::function<bool()>& holds, Duration limit);

  // Randomness of who steers the world.
  Prng& random() { return random_; }
  std::uint64_t seed() const { return seed_; }
  std::uint64_t digest() const { return journal_.digest(); }
  std::uint64_t events() const { return events_; }
  Journal& journal() { return journal_; }
  // The last trace lines, one after the other.
  std::string recent_trace() const;

 private:
  class OneShard final : public Shards {
   public:
    explicit OneShard(Runtime& runtime) : runtime_(runtime) {}
    std::size_t count() const override { return 1; }
    Runtime& shard(std::size_t index) override;

   private:
    Runtime& runtime_;
  };

  void settle();
  void strike_doomed();
  std::string state_of_nodes();

  std::uint64_t seed_;
  WorldOptions options_;
  Prng random_;
  EventQueue queue_;
  Journal journal_;
  Fabric fabric_;
  std::function<void()> observer_;
  std::uint64_t events_ = 0;
  bool in_node_ = false;  // A node's own code runs.
  std::map<NodeId, std::unique_ptr<SimulatedNode>> nodes_;
  std::map<NodeId, OneShard> shards_;
};

}  // namespace qlab::runtime
