#pragma once
// Whatever can go wrong in a simulated cluster, at times drawn from the seed. It aims at the active
// controller while topics are created and deleted, and while in-sync replicas change.

#include <vector>

#include "sim/cluster.h"

namespace qlab::sim {

class ClusterNemesis {
 public:
  // Draws which faults strike in this run, how often, and how long nodes stay down.
  explicit ClusterNemesis(Cluster& cluster);

  // Strikes now and then until heal().
  void begin();
  // All links whole, no more faults. Who is down stays so until somebody boots it.
  void heal();

  std::uint64_t crashes() const { return crashes_; }
  std::uint64_t controller_crashes() const { return controller_crashes_; }

 private:
  using Act = void (ClusterNemesis::*)();
  void strike();
  void crash_one();
  void crash_the_controller();
  void crash_all();
  void bounce_one();        // Down, and up again before anybody has noticed.
  void crash_at_a_write();  // In the middle of one of the next writes.
  void stop_one();          // In an orderly way.
  void boot_one();
  void pause_one();
  void pause_the_controller();
  void resume_all();
  void block_one_way();
  void isolate_one();
  void isolate_the_controller();
  void split();  // Two sides that do not hear each other.
  void heal_links();
  void break_a_link();
  void slow_a_link();
  void keep_booting();

  NodeId any();
  NodeId controller_or_any();
  void isolate(NodeId lonely);
  void crash(NodeId id);
  void crash_in_the_middle(NodeId id);
  // The active controller is lost soon, within `within`: it goes down, then or at one of its next
  // writes, or hears of nobody while its clients still reach it.
  void doom_the_controller(Duration within);

  Cluster& cluster_;
  Prng random_;
  bool striking_ = false;
  Duration interval_;
  Duration reboot_after_{};  // Whoever is down is up again within it; 0: when boot_one() strikes.
  double doom_chance_ = 0;   // That the controller goes down in the middle of an operation.
  std::vector<Act> acts_;    // Each as often as its weight.
  std::uint64_t crashes_ = 0;
  std::uint64_t controller_crashes_ = 0;
};

}  // namespace qlab::sim
