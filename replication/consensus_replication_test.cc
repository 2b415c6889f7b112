// What is particular to groups: what they share, and what becomes of one that lags.

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "replication/consensus_replicator.h"
#include "replication/test_cluster.h"
#include "sim/modules.h"

namespace qlab::replication {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const NodeId one{1}, two{2}, three{3};

// Of the broker's (group_modules).
const auto modules = boost::unit_test::data::make(std::vector<std::string>{"raft", "kraft"});

consensus::ModuleFactory found(const std::string& module) {
  return sim::find_module(module).value();
}

std::uint64_t messages_of_all(TestCluster& cluster) {
  std::uint64_t sent = 0;
  for (const NodeId node : TestCluster::nodes) sent += cluster.groups(node).stats().messages_sent;
  return sent;
}

BOOST_AUTO_TEST_SUITE(consensus_replication)

// 50 ms between heartbeats: 20 intervals in a second, three pairs of brokers, two directions, a
// heartbeat and an answer in each at most.
BOOST_DATA_TEST_CASE(heartbeats_of_a_thousand_groups_are_as_many_messages_as_those_of_one, modules,
                     module) {
  constexpr std::uint64_t most = 20 * 3 * 2 * 2;
  for (const std::int32_t groups : {1, 10, 1000}) {
    TestCluster cluster(1, {}, groups, found(module));
    cluster.world().run_for(seconds(5));
    const std::uint64_t before = messages_of_all(cluster);
    cluster.world().run_for(seconds(1));
    const std::uint64_t sent = messages_of_all(cluster) - before;
    BOOST_TEST_MESSAGE(groups << " groups: " << sent << " messages in a second");
    BOOST_TEST(sent > 0u);
    BOOST_TEST(sent <= most, groups << " groups: " << sent << " messages, at most " << most);
  }
}

const Group& group_of(TestCluster& cluster, NodeId node) {
  return dynamic_cast<ConsensusReplicator&>(*cluster.replica(node)).group();
}

// 300 entries of 400 bytes are more than the log of the groups keeps (64 KiB here).
BOOST_DATA_TEST_CASE(a_replica_that_was_away_for_longer_than_entries_are_kept_copies_records,
                     modules, module) {
  for (const std::uint64_t seed : {1u, 2u, 3u, 4u, 5u}) {
    TestCluster cluster(seed, {}, 1, found(module));
    cluster.world().run_for(seconds(3));
    const NodeId leader = cluster.leader();
    const NodeId away = leader == three ? two : three;
    BOOST_REQUIRE(cluster.produce("first", Acks::all));
    cluster.crash(away, {});
    cluster.world().run_for(milliseconds(100));
    std::vector<std::string> expected{"first"};
    for (int i = 0; i < 300; ++i) {
      expected.push_back(std::to_string(i) + std::string(400, '.'));
      BOOST_REQUIRE(cluster.produce(expected.back(), Acks::all));
    }
    BOOST_TEST(cluster.groups(leader).stats().compactions > 0u);
    const LogIndex base = group_of(cluster, leader).base().last.index;
    BOOST_TEST(base.value() > 100);
    cluster.restart(away);
    BOOST_REQUIRE(cluster.converge(seconds(30)).has_value());
    BOOST_TEST((group_of(cluster, away).base().last.index >= base));
    BOOST_TEST(cluster.values(away) == expected, boost::test_tools::per_element());
    // And it counts: with it and without another, records are committed.
    cluster.crash(leader == one ? two : one, {});
    cluster.world().run_for(seconds(3));
    BOOST_TEST(cluster.produce("last", Acks::all));
  }
}

BOOST_DATA_TEST_CASE(a_copy_that_a_crash_ended_goes_on_where_it_was, modules, module) {
  TestCluster cluster(7, {}, 1, found(module));
  cluster.world().run_for(seconds(3));
  const NodeId away = cluster.leader() == three ? two : three;
  cluster.crash(away, {});
  cluster.world().run_for(milliseconds(100));
  std::vector<std::string> expected;
  for (int i = 0; i < 300; ++i) {
    expected.push_back(std::to_string(i) + std::string(400, '.'));
    BOOST_REQUIRE(cluster.produce(expected.back(), Acks::all));
  }
  for (const int lives : {1, 3, 10, 30, 100, 300}) {
    cluster.restart(away);
    cluster.world().run_for(milliseconds(lives));
    cluster.crash(away, {});
    cluster.world().run_for(milliseconds(50));
  }
  cluster.restart(away);
  BOOST_REQUIRE(cluster.converge(seconds(30)).has_value());
  BOOST_TEST(cluster.values(away) == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::replication
