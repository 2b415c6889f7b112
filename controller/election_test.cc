#include "controller/election.h"

#include <algorithm>
#include <map>
#include <set>

#include <boost/test/unit_test.hpp>

#include "common/prng.h"
#include "controller/placement.h"

namespace qlab::controller {
namespace {

metadata::Partition partition_of(std::vector<NodeId> replicas, std::vector<NodeId> isr,
                                 NodeId leader) {
  Partition partition;
  partition.replicas = std::move(replicas);
  partition.isr = std::move(isr);
  partition.leader = leader;
  partition.leader_epoch = LeaderEpoch{4};
  partition.partition_epoch = 9;
  return partition;
}

const NodeId one{1}, two{2}, three{3};
const Eligible everyone = [](NodeId) { return true; };
const Eligible nobody = [](NodeId) { return false; };

ElectionRules rules(Eligible eligible, std::size_t min_insync = 1) {
  return {std::move(eligible), min_insync, false};
}

BOOST_AUTO_TEST_SUITE(election)

BOOST_AUTO_TEST_CASE(the_first_eligible_replica_in_sync_leads) {
  BOOST_TEST((elect({one, two, three}, {three, two}, everyone) == two));
  BOOST_TEST(
      (elect({one, two, three}, {three, two}, [](NodeId n) { return n == three; }) == three));
  BOOST_TEST((elect({one, two, three}, {two}, [](NodeId n) { return n != two; }) == no_node));
}

BOOST_AUTO_TEST_CASE(a_leader_that_goes_leaves_the_isr_and_another_leads) {
  const auto after =
      without(partition_of({one, two, three}, {one, two, three}, one), one, rules(everyone));
  BOOST_TEST((after.isr == std::vector<NodeId>{two, three}));
  BOOST_TEST((after.leader == two));
  BOOST_TEST(after.elr.empty());
}

BOOST_AUTO_TEST_CASE(a_follower_that_goes_leaves_the_isr_and_the_leader_stays) {
  const auto after = without(partition_of({one, two}, {one, two}, one), two, rules(everyone));
  BOOST_TEST((after.isr == std::vector<NodeId>{one}));
  BOOST_TEST((after.leader == one));
}

BOOST_AUTO_TEST_CASE(the_last_member_of_an_isr_stays_in_it_and_nobody_leads) {
  const auto before = partition_of({one, two}, {one}, one);
  const auto after = without(before, one, rules(everyone));
  BOOST_TEST((after.isr == std::vector<NodeId>{one}));
  BOOST_TEST((after.leader == no_node));
  BOOST_TEST((after.last_known_leader == one));
  BOOST_TEST((without(before, two, rules(everyone)) == before));
}

BOOST_AUTO_TEST_CASE(a_partition_without_a_leader_gets_one_from_its_isr_only) {
  const auto leaderless = partition_of({one, two}, {one}, no_node);
  BOOST_TEST((with_leader(leaderless, rules([](NodeId n) { return n == two; })) == leaderless));
  BOOST_TEST((with_leader(leaderless, rules(everyone)).leader == one));
  const auto led = partition_of({one, two}, {one}, one);
  BOOST_TEST((with_leader(led, rules(everyone)) == led));
  BOOST_TEST((with_leader(leaderless, rules(nobody)) == leaderless));
}

BOOST_AUTO_TEST_CASE(who_leaves_an_isr_that_is_too_small_is_eligible_to_lead_before_all_others) {
  // min.insync.replicas 2: with one member in sync the watermark stands still.
  auto partition = partition_of({one, two, three}, {one, two, three}, one);
  partition = without(partition, three, rules(everyone, 2));
  BOOST_TEST(partition.elr.empty());
  partition = without(partition, two, rules(everyone, 2));
  BOOST_TEST((partition.elr == std::vector<NodeId>{two}));
  partition = without(partition, one, rules(nobody, 2));
  BOOST_TEST((partition.leader == no_node));
  // Three is up, but was not in sync when the watermark last moved; two was.
  BOOST_TEST(
      (with_leader(partition, rules([](NodeId n) { return n == three; }, 2)).leader == no_node));
  partition = with_leader(partition, rules([](NodeId n) { return n != one; }, 2));
  BOOST_TEST((partition.leader == two));
  BOOST_TEST((partition.isr == std::vector<NodeId>{two}));
  BOOST_TEST((partition.elr == std::vector<NodeId>{one}));
  BOOST_TEST(!partition.recovering);
  partition = with_isr(partition, {two, three}, rules(everyone, 2));
  BOOST_TEST(partition.elr.empty());
}

BOOST_AUTO_TEST_CASE(who_came_back_as_another_process_is_not_in_the_elr) {
  auto partition = partition_of({one, two}, {one}, one);
  partition.elr = {two};
  BOOST_TEST((without(partition, two, rules(everyone, 2)).elr == std::vector<NodeId>{two}));
  BOOST_TEST(without_log_of(partition, two, rules(everyone, 2)).elr.empty());
}

BOOST_AUTO_TEST_CASE(an_unclean_election_takes_the_last_leader_first_and_has_to_recover) {
  auto partition = partition_of({one, two, three}, {one}, no_node);
  partition.elr = {};
  partition.last_known_leader = three;
  ElectionRules unclean = rules([](NodeId n) { return n != one; });
  BOOST_TEST((with_leader(partition, unclean).leader == no_node));
  unclean.unclean = true;
  const auto after = with_leader(partition, unclean);
  BOOST_TEST((after.leader == three));
  BOOST_TEST((after.isr == std::vector<NodeId>{three}));
  BOOST_TEST(after.recovering);
  BOOST_TEST(!with_isr(after, {three, two}, rules(everyone)).recovering);
}

BOOST_AUTO_TEST_CASE(the_preferred_replica_leads_if_it_is_in_sync_and_up) {
  const auto led_by_two = partition_of({one, two}, {one, two}, two);
  BOOST_TEST((with_preferred_leader(led_by_two, rules(everyone))->leader == one));
  BOOST_TEST(!with_preferred_leader(led_by_two, rules(nobody)).has_value());
  BOOST_TEST(!with_preferred_leader(partition_of({one, two}, {two}, two), rules(everyone)));
  BOOST_TEST(!with_preferred_leader(partition_of({one, two}, {one}, one), rules(everyone)));
}

// What has all that is committed is never elected away from but by an unclean election: the
// watermark moves only while min.insync.replicas are in sync, and then to what all of them have.
BOOST_AUTO_TEST_CASE(a_clean_leader_has_all_that_was_ever_committed) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    Prng prng(seed);
    const std::vector<NodeId> nodes{one, two, three, NodeId{4}};
    const std::size_t min_insync = prng.between(1, 3);
    std::set<NodeId> up(nodes.begin(), nodes.end());
    std::map<NodeId, int> records;  // That a replica has; its log is not lost while it is away.
    int committed = 0;
    auto partition = partition_of(nodes, nodes, one);
    const ElectionRules now = rules([&](NodeId n) { return up.contains(n); }, min_insync);
    for (int step = 0; step < 200; ++step) {
      const NodeId node = nodes[prng.below(nodes.size())];
      if (prng.chance(0.3)) {
        if (up.erase(node) > 0) partition = without(partition, node, now);
      } else if (prng.chance(0.4)) {
        up.insert(node);
        if (partition.leader == no_node) partition = with_leader(partition, now);
      }
      if (partition.leader == no_node) continue;
      BOOST_REQUIRE_MESSAGE(records[partition.leader] >= committed, "seed " << seed);
      // The leader writes; who follows has what it has, no more; some of them catch up.
      records[partition.leader] += 1;
      const int end = records[partition.leader];
      for (NodeId follower : nodes) {
        if (follower == partition.leader || !up.contains(follower)) continue;
        records[follower] = std::min(records[follower], end);
        if (!prng.chance(0.5)) continue;
        records[follower] = end;
        std::vector<NodeId> isr = partition.isr;
        if (std::find(isr.begin(), isr.end(), follower) != isr.end()) continue;
        isr.push_back(follower);
        partition = with_isr(partition, isr, now);
      }
      if (partition.isr.size() < min_insync) continue;
      int least = end;
      for (NodeId member : partition.isr) least = std::min(least, records[member]);
      committed = std::max(committed, least);
    }
  }
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
