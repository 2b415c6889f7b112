// The contract: a node may die at any change of its disk, and nothing that was promised is lost.
#include "consensus/contract_test.h"

namespace qlab::consensus::contract {
namespace {

// An election, commits, another leader, and a follower that is cut off until it needs an image.
void live(ContractGroup& group) {
  group.fill(3, 120);
  group.must_elect()->driver->resign(*group.must_elect()->machine.active);
  group.fill(3, 120);
  const NodeId apart{2};
  for (const NodeId other : group.ids()) {
    if (other == apart) continue;
    group.world.fabric().block(apart, other);
    group.world.fabric().block(other, apart);
  }
  group.fill(15, 120);
  group.world.fabric().heal();
  group.fill(3, 120);
  group.world.run_for(seconds(1));
}

// Boots the node a little after every crash.
struct Nurse {
  void watch() {
    group.world.after(milliseconds(50), [this] {
      if (!group.world.node(patient).is_up()) {
        ++crashes;
        group.boot(patient);
      }
      watch();
    });
  }
  ContractGroup& group;
  NodeId patient;
  std::size_t crashes = 0;
};

BOOST_AUTO_TEST_SUITE(consensus_contract_restart)

BOOST_DATA_TEST_CASE(a_node_restarts_at_any_write_boundary, all_modules()) {
  std::size_t crashes = 0;
  for (const NodeId victim : {NodeId{1}, NodeId{2}, NodeId{3}}) {
    for (std::uint64_t at = 1;; ++at) {
      BOOST_TEST_CONTEXT("node " << victim << " at change " << at) {
        ContractGroup group(7, with_images(group_of(sample)));
        Nurse nurse{group, victim};
        nurse.watch();
        group.world.node(victim).disk().crash_at_change(at);
        live(group);
        group.must_agree();
        if (nurse.crashes == 0) {
          BOOST_TEST(at > 30u);
          break;
        }
        crashes += nurse.crashes;
      }
      // Each boundary at first, then a sample of those that are of the same kinds.
      if (at > 60) at += 6;
    }
  }
  BOOST_TEST(crashes > 100u);
}

// The whole group loses power at once, in the middle of its work.
BOOST_DATA_TEST_CASE(what_was_acknowledged_survives_when_all_lose_power, all_modules()) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      ContractGroup group(seed, with_images(group_of(sample)));
      for (int round = 0; round < 3; ++round) {
        const NodeId leader = group.leader_id();
        for (int i = 0; i < 20; ++i) {
          group.node(leader)->propose(fmt::format("{}-{}", round, i), std::nullopt, group.fates);
        }
        group.world.run_for(std::chrono::microseconds(group.world.random().below(20'000)));
        for (const NodeId id : group.ids()) group.crash(id, {.lose_unsynced = true});
        group.boot_all();
      }
      group.must_agree();
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::consensus::contract
