#include "controller/election.h"

#include <set>

#include <boost/test/unit_test.hpp>

#include "common/prng.h"
#include "controller/placement.h"

namespace qlab::controller {
namespace {

metadata::Partition partition_of(std::vector<NodeId> replicas, std::vector<NodeId> isr,
                                 NodeId leader) {
  return metadata::Partition{std::move(replicas), std::move(isr), leader, LeaderEpoch{4}, 9};
}

const NodeId one{1}, two{2}, three{3};
const Eligible everyone = [](NodeId) { return true; };
const Eligible nobody = [](NodeId) { return false; };

BOOST_AUTO_TEST_SUITE(election)

BOOST_AUTO_TEST_CASE(the_first_eligible_replica_in_sync_leads) {
  BOOST_TEST((elect({one, two, three}, {three, two}, everyone) == two));
  BOOST_TEST(
      (elect({one, two, three}, {three, two}, [](NodeId n) { return n == three; }) == three));
  BOOST_TEST((elect({one, two, three}, {two}, [](NodeId n) { return n != two; }) == no_node));
}

BOOST_AUTO_TEST_CASE(a_leader_that_goes_leaves_the_isr_and_another_leads) {
  const auto plan =
      plan_removal(partition_of({one, two, three}, {one, two, three}, one), one, everyone);
  BOOST_REQUIRE(plan.has_value());
  BOOST_TEST((*plan->isr == std::vector<NodeId>{two, three}));
  BOOST_TEST((*plan->leader == two));
}

BOOST_AUTO_TEST_CASE(a_follower_that_goes_leaves_the_isr_and_the_leader_stays) {
  const auto plan = plan_removal(partition_of({one, two}, {one, two}, one), two, everyone);
  BOOST_REQUIRE(plan.has_value());
  BOOST_TEST((*plan->isr == std::vector<NodeId>{one}));
  BOOST_TEST(!plan->leader.has_value());
}

BOOST_AUTO_TEST_CASE(the_last_member_of_an_isr_stays_in_it_and_nobody_leads) {
  const auto plan = plan_removal(partition_of({one, two}, {one}, one), one, everyone);
  BOOST_REQUIRE(plan.has_value());
  BOOST_TEST(!plan->isr.has_value());
  BOOST_TEST((*plan->leader == no_node));
  BOOST_TEST(!plan_removal(partition_of({one, two}, {one}, one), two, everyone).has_value());
}

BOOST_AUTO_TEST_CASE(a_partition_without_a_leader_gets_one_from_its_isr_only) {
  const auto leaderless = partition_of({one, two}, {one}, no_node);
  BOOST_TEST(!plan_arrival(leaderless, [](NodeId n) { return n == two; }).has_value());
  const auto plan = plan_arrival(leaderless, everyone);
  BOOST_REQUIRE(plan.has_value());
  BOOST_TEST((*plan->leader == one));
  BOOST_TEST(!plan_arrival(partition_of({one, two}, {one}, one), everyone).has_value());
  BOOST_TEST(!plan_arrival(leaderless, nobody).has_value());
}

BOOST_AUTO_TEST_CASE(placement_gives_every_partition_distinct_brokers_and_spreads_leaders) {
  Prng prng(3);
  for (int round = 0; round < 200; ++round) {
    PlacementRequest request;
    for (std::int32_t b = 0, n = static_cast<std::int32_t>(prng.between(1, 9)); b < n; ++b) {
      request.brokers.push_back(NodeId{b});
    }
    request.replication_factor =
        static_cast<std::int16_t>(prng.between(1, std::ssize(request.brokers)));
    request.partitions = static_cast<std::int32_t>(prng.between(1, 40));
    request.start = prng.next() % 100;
    const auto placed = place(request);
    BOOST_REQUIRE(placed.has_value());
    std::map<NodeId, int> leaders;
    for (const auto& replicas : *placed) {
      BOOST_TEST(std::set<NodeId>(replicas.begin(), replicas.end()).size() == replicas.size());
      BOOST_TEST(replicas.size() == static_cast<std::size_t>(request.replication_factor));
      ++leaders[replicas.front()];
    }
    const int fair = request.partitions / static_cast<std::int32_t>(request.brokers.size());
    for (const auto& [broker, count] : leaders) BOOST_TEST((count == fair || count == fair + 1));
  }
}

BOOST_AUTO_TEST_CASE(placement_refuses_more_replicas_than_brokers_and_says_how_many_there_are) {
  const auto placed = place({{one, two}, 1, 3, 0});
  BOOST_REQUIRE(!placed.has_value());
  BOOST_TEST(placed.error().context ==
             "replication factor 3 is not in [1, 2], the number of brokers that are up");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::controller
