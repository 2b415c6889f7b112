#pragma once
// Whatever can go wrong, at times drawn from the seed.

#include <map>
#include <vector>

#include "sim/group.h"

namespace qlab::sim {

class Nemesis {
 public:
  // Draws which faults strike in this run, how often, and how long nodes stay down.
  explicit Nemesis(Group& group);

  // Strikes now and then until heal().
  void begin();
  // All nodes up, all links whole, no more faults.
  void heal();
  std::uint64_t crashes() const { return crashes_; }

 private:
  using Act = void (Nemesis::*)();
  void strike();
  void crash_one();
  void crash_all();         // The power fails everywhere at once.
  void bounce_one();        // Down, and up again before anybody has noticed.
  void crash_at_a_write();  // In the middle of one of the next writes.
  void boot_one();
  void pause_one();
  void resume_all();
  void block_one_way();
  void isolate_one();
  void split();    // Two sides that do not hear each other.
  void bridge();   // The same, but for one node that hears both.
  void contest();  // Who hears both loses them for a moment: both sides want its vote.
  void heal_links();
  void break_a_link();
  void slow_a_link();
  void slow_a_disk();
  void resign_a_leader();
  void transfer();
  void reconfigure();
  void wipe_one();
  void arm_disks();
  void keep_booting();

  NodeId any();
  void on_vote(NodeId id);
  void boot_soon(NodeId id);
  void part(const std::vector<NodeId>& left, const std::vector<NodeId>& right);
  void crash(NodeId id);
  void bounce(NodeId id);

  Group& group_;
  Prng random_;
  bool striking_ = false;
  Duration interval_;
  NodeId doomed_voter_ = no_node;  // Goes down when it votes, once.
  double sync_failure_chance_ = 0;
  Duration reboot_after_{};  // Whoever is down is up again within it; 0: when boot_one() strikes.
  std::map<NodeId, Duration> slow_disks_;
  std::vector<Act> acts_;  // Each as often as its weight.
  std::uint64_t crashes_ = 0;
};

}  // namespace qlab::sim
