// The contract: a follower that lags behind the log gets the image, whatever happens on the way.
#include "consensus/contract_test.h"

namespace qlab::consensus::contract {
namespace {

const Need images("images", &Capabilities::snapshots);

// A group that has forgotten the entries that one follower, which is down, would need.
struct Lagging : ContractGroup {
  Lagging(std::uint64_t seed, const NamedModule& module)
      : ContractGroup(seed, with_images(group_of(module))) {
    fill(3);
    behind = a_follower();
    crash(behind);
    fill(40);
    BOOST_REQUIRE(newest() > LogIndex{30});
  }
  // Of the leader.
  LogIndex newest() { return must_elect()->driver->snapshot().last.index; }
  bool has_restored() const {
    const auto one = node(behind);
    return one && one->machine.restoring.index > LogIndex{0};
  }
  std::vector<std::string> files() {
    const auto list = [](runtime::SimulatedDisk& disk) { return disk.list("metadata").value(); };
    return world.node(behind).is_up() ? list(world.node(behind).disk()) : at_disk(behind, list);
  }
  bool has_file(std::string_view part) {
    const std::vector<std::string> names = files();
    for (const std::string& name : names) {
      if (name.find(part) != std::string::npos) return true;
    }
    return false;
  }

  NodeId behind;
};

BOOST_AUTO_TEST_SUITE(consensus_contract_images)

BOOST_DATA_TEST_CASE(a_follower_that_lags_gets_the_image, all_modules()) {
  if (!images.check(sample)) return;
  Lagging group(1, sample);
  const LogIndex there = group.newest();
  group.boot(group.behind);
  group.must_agree();
  BOOST_TEST(group.has_restored());
  BOOST_TEST((group.node(group.behind)->machine.restoring.index >= there));
  // And it is as good as any other: the group goes on with it when another is gone.
  for (const NodeId id : group.ids()) {
    if (id == group.behind || id == group.leader_id()) continue;
    group.crash(id);
    break;
  }
  group.fill(5);
}

BOOST_DATA_TEST_CASE(an_image_whose_link_breaks_midway_arrives_in_the_end, all_modules()) {
  if (!images.check(sample)) return;
  int midway = 0;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Lagging group(seed, sample);
    group.boot(group.behind);
    for (int i = 0; i < 5; ++i) {
      group.eventually([&] { return group.has_file("unfinished") || group.has_restored(); });
      midway += group.has_restored() ? 0 : 1;
      group.world.fabric().break_between(group.leader_id(), group.behind);
      group.world.run_for(milliseconds(5));
    }
    group.must_agree();
    BOOST_TEST(group.has_restored());
  }
  BOOST_TEST(midway >= 5);
}

// At every change of its disk from the first piece to the image in place of the log.
BOOST_DATA_TEST_CASE(a_crash_anywhere_between_store_and_install_is_survived, all_modules()) {
  if (!images.check(sample)) return;
  int unfinished = 0;
  int giving_way = 0;
  for (std::uint64_t at = 1;; ++at) {
    Lagging group(at, sample);
    group.world.node(group.behind).disk().crash_at_change(at);
    group.boot(group.behind);
    group.eventually(
        [&] { return group.has_restored() || !group.world.node(group.behind).is_up(); });
    const bool crashed = !group.world.node(group.behind).is_up();
    group.world.node(group.behind).disk().crash_at_change(0);
    unfinished += crashed && group.has_file("unfinished") ? 1 : 0;
    giving_way += crashed && group.has_file("giving-way") ? 1 : 0;
    group.boot_all();
    group.must_agree();
    if (!crashed) break;
  }
  BOOST_TEST(unfinished >= 2);
  BOOST_TEST(giving_way >= 2);
}

BOOST_DATA_TEST_CASE(an_image_that_a_newer_one_overtakes_does_no_harm, all_modules()) {
  if (!images.check(sample)) return;
  int overtaken = 0;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Lagging group(seed, sample);
    const LogIndex old = group.newest();
    group.world.fabric().slow_down(group.leader_id(), group.behind, milliseconds(20));
    group.boot(group.behind);
    group.eventually([&] { return group.has_file("unfinished") || group.has_restored(); });
    const bool is_under_way = !group.has_restored();
    group.fill(30);
    overtaken += is_under_way && group.newest() > old ? 1 : 0;
    group.world.fabric().heal();
    group.must_agree();
    BOOST_TEST(group.has_restored());
  }
  BOOST_TEST(overtaken >= 3);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::consensus::contract
