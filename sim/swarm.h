#pragma once
// What a run is like: every knob is drawn from the seed, within what the module can do, and about
// every third time a thing is left out altogether, as too much trouble hides some of it.

#include "runtime/simulated/options.h"
#include "sim/replica.h"

namespace qlab::sim {

struct Swarm {
  int voters = 3;
  int witnesses = 0;
  int observers = 0;
  int spares = 0;      // Nodes that a reconfiguration may make members.
  bool keyed = false;  // The configuration names disks: a wiped one is another replica's.
  runtime::WorldOptions world;
  ReplicaOptions replica;
  Duration load_interval{};
  double read_chance = 0.2;
  bool reconfigures = false;
  bool transfers = false;
  bool contests = false;  // Elections are, and votes are forgotten in crashes if they can be.

  std::string words() const;
};

// Requires: the options of the module are set in the result by the caller.
Swarm draw_swarm(Prng& random, const consensus::Capabilities& capabilities);

}  // namespace qlab::sim
