#pragma once
// A consensus group in a simulated world, with its load.

#include <map>
#include <vector>

#include "runtime/simulated/world.h"
#include "sim/history.h"
#include "sim/replica.h"

namespace qlab::sim {

class Group {
 public:
  // Nodes 1..voters vote, and the `observers` that follow do not.
  Group(runtime::SimulatedWorld& world, int voters, int observers, ReplicaOptions options);

  const std::vector<NodeId>& nodes() const { return nodes_; }
  History& history() { return history_; }
  runtime::SimulatedWorld& world() { return world_; }

  bool is_up(NodeId id) { return world_.node(id).is_up(); }
  void boot(NodeId id);
  void boot_all();  // Those that are down.
  // Null unless the node is up and its replica has recovered.
  Replica* replica(NodeId id);
  // Some node that says it leads; null when none does. Several may.
  Replica* a_leader();

  // Proposes and reads now and then, for as long as the world runs or until it is called again.
  // Half of it goes to whoever says to lead, the rest to anybody.
  void begin_load(Duration interval);
  // All are up, one leads, and all have applied the same and everything committed.
  bool has_converged();

 private:
  void load(std::uint64_t round);
  void ask(Replica& replica);

  runtime::SimulatedWorld& world_;
  ReplicaOptions options_;
  Prng random_;
  History history_;
  std::vector<NodeId> nodes_;
  std::map<NodeId, std::weak_ptr<Replica>> replicas_;
  std::uint64_t last_value_ = 0;
  Duration load_interval_{};
  std::uint64_t load_round_ = 0;  // Counts the calls of begin_load().
};

}  // namespace qlab::sim
