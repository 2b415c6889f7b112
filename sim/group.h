#pragma once
// A consensus group in a simulated world, with its load.

#include <map>
#include <vector>

#include "runtime/simulated/world.h"
#include "sim/history.h"
#include "sim/swarm.h"

namespace qlab::sim {

class Group {
 public:
  // Nodes are numbered from 1: voters, witnesses, observers, spares. All boot.
  Group(runtime::SimulatedWorld& world, Swarm swarm, const consensus::Capabilities& capabilities);

  const std::vector<NodeId>& nodes() const { return swarm_.replica.nodes; }
  const Swarm& swarm() const { return swarm_; }
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
  // Asks a leader for another configuration, of the nodes there are and with the disks they have.
  void reconfigure();
  // The node boots with an empty disk: another replica. Only while every configuration in force is
  // committed and it and those asked for can do without the node. Requires: swarm().keyed.
  void wipe(NodeId id);
  void end_datagrams() { swarm_.replica.datagrams = {}; }

  // All are up, one leads, no change of the configuration is under way, and all members that have
  // a state have applied everything committed.
  bool has_converged();
  std::string words_of_state();  // Why it has not, for people.

 private:
  void load(std::uint64_t round);
  void ask(Replica& replica);
  consensus::Config draw_target(const consensus::Config& now);
  bool has_its_disk(const consensus::Member& member) const;
  // Whether those that have kept their disks, but for that node, are a quorum, and without the
  // witnesses: what is on a wiped disk and a witness alone is out of reach.
  bool can_do_without(const consensus::Config& config, NodeId id) const;
  bool may_wipe(NodeId id) const;
  DirectoryId new_disk(NodeId id);

  runtime::SimulatedWorld& world_;
  Swarm swarm_;
  const consensus::Capabilities capabilities_;
  Prng random_;
  History history_;
  std::map<NodeId, std::weak_ptr<Replica>> replicas_;
  std::uint64_t disks_ = 0;  // Made so far.
  std::uint64_t last_value_ = 0;
  Duration load_interval_{};
  std::uint64_t load_round_ = 0;  // Counts the calls of begin_load().
};

}  // namespace qlab::sim
