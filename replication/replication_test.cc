#include <algorithm>
#include <set>

#include <boost/test/unit_test.hpp>

#include "replication/test_cluster.h"

namespace qlab::replication {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const NodeId one{1}, two{2}, three{3};

ReplicationOptions quick() {
  ReplicationOptions options;
  options.lag_max = milliseconds(500);
  options.fetch_wait_max = milliseconds(50);
  options.fetch_backoff = milliseconds(10);
  options.min_insync_replicas = 2;
  return options;
}

BOOST_AUTO_TEST_SUITE(replication)

BOOST_AUTO_TEST_CASE(a_record_acknowledged_by_all_is_durable_on_every_replica) {
  TestCluster cluster(1, quick());
  cluster.world().run_for(milliseconds(100));
  BOOST_REQUIRE(cluster.produce("a", Acks::all));
  for (NodeId node : TestCluster::nodes) {
    BOOST_TEST(cluster.replica(node)->log().durable_end().value() == 1, "node " << node);
  }
}

BOOST_AUTO_TEST_CASE(without_enough_replicas_in_sync_nothing_is_appended) {
  TestCluster cluster(2, quick());
  cluster.world().run_for(milliseconds(100));
  cluster.crash(two, {});
  cluster.crash(three, {});
  cluster.world().run_for(milliseconds(100));
  BOOST_TEST((cluster.isr() == std::vector<NodeId>{one}));
  Record record;
  record.value = Bytes{};
  const auto refused = cluster.append(one, encode_batch({record}), Acks::all, seconds(1));
  BOOST_REQUIRE(!refused.has_value());
  BOOST_TEST((refused.error().code == Errc::not_enough_replicas));
  BOOST_TEST(cluster.replica(one)->log().end().value() == 0);
}

BOOST_AUTO_TEST_CASE(a_silent_follower_leaves_the_isr_and_comes_back_once_it_has_everything) {
  TestCluster cluster(3, quick());
  cluster.world().run_for(milliseconds(100));
  cluster.world().pause(three);
  BOOST_TEST(cluster.produce("a", Acks::all, seconds(10)));
  BOOST_TEST((cluster.isr() == std::vector<NodeId>{one, two}));
  cluster.world().resume(three);
  BOOST_TEST(cluster.world()
                 .run_until([&] { return cluster.isr().size() == 3; }, seconds(10))
                 .has_value());
  BOOST_TEST(cluster.converge(seconds(10)).has_value());
  BOOST_TEST((cluster.values(three) == std::vector<std::string>{"a"}));
}

BOOST_AUTO_TEST_CASE(a_leader_that_returns_drops_what_only_it_had) {
  TestCluster cluster(4, quick());
  cluster.world().run_for(milliseconds(100));
  BOOST_REQUIRE(cluster.produce("kept", Acks::all));
  // Nobody can fetch any more, so this one stays with its leader, durable and not committed.
  runtime::Fabric& fabric = cluster.world().fabric();
  for (NodeId follower : {two, three}) {
    fabric.block(one, follower);
    fabric.break_between(one, follower);
  }
  cluster.world().run_for(milliseconds(50));
  BOOST_REQUIRE(cluster.produce("dropped", Acks::leader));
  BOOST_TEST(cluster.replica(one)->log().durable_end().value() == 2);
  cluster.crash(one, {});
  fabric.heal();
  cluster.world().run_for(milliseconds(100));
  BOOST_REQUIRE(cluster.produce("new", Acks::all));
  cluster.restart(one);
  BOOST_REQUIRE(cluster.converge(seconds(10)).has_value());
  const std::vector<std::string> expected{"kept", "new"};
  for (NodeId node : TestCluster::nodes)
    BOOST_TEST(cluster.values(node) == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(an_append_whose_leadership_ends_before_its_commit_has_an_unknown_outcome) {
  TestCluster cluster(6, quick());
  cluster.world().run_for(milliseconds(100));
  for (NodeId follower : {two, three}) {
    cluster.world().fabric().block(one, follower);
    cluster.world().fabric().break_between(one, follower);
  }
  cluster.world().after(milliseconds(50), [&] { cluster.move_leadership(two); });
  Record record;
  record.value = Bytes{};
  const auto appended = cluster.append(one, encode_batch({record}), Acks::all, seconds(5));
  BOOST_REQUIRE(!appended.has_value());
  BOOST_TEST((appended.error().code == Errc::unknown_outcome), appended.error().message());
}

Bytes batch_of_producer(std::int32_t sequence) {
  BatchHeader header;
  header.producer_id = ProducerId{7};
  header.producer_epoch = 0;
  header.base_sequence = sequence;
  Record record;
  record.value = Bytes{};
  return encode_batch({record}, header);
}

BOOST_AUTO_TEST_CASE(a_gap_in_a_producers_batches_is_a_new_leaders_first_and_the_producers_later) {
  TestCluster cluster(10, quick());
  cluster.world().run_for(milliseconds(100));
  BOOST_REQUIRE(cluster.append(one, batch_of_producer(0), Acks::all, seconds(5)).has_value());
  cluster.crash(one, {});
  cluster.world().run_for(milliseconds(200));
  const NodeId leader = cluster.leader();
  const auto early = cluster.append(leader, batch_of_producer(2), Acks::all, seconds(5));
  BOOST_REQUIRE(!early.has_value());
  BOOST_TEST((early.error().code == Errc::not_leader));
  BOOST_TEST(cluster.append(leader, batch_of_producer(1), Acks::all, seconds(5)).has_value());
  cluster.world().run_for(seconds(1));
  const auto late = cluster.append(leader, batch_of_producer(3), Acks::all, seconds(5));
  BOOST_REQUIRE(!late.has_value());
  BOOST_TEST((late.error().code == Errc::out_of_sequence));
}

BOOST_AUTO_TEST_CASE(a_retry_after_a_change_of_leaders_is_answered_with_the_first_offset) {
  TestCluster cluster(5, quick());
  cluster.world().run_for(milliseconds(100));
  const Bytes batch = batch_of_producer(0);
  const auto first = cluster.append(one, batch, Acks::all, seconds(5));
  BOOST_REQUIRE(first.has_value());
  cluster.crash(one, {});
  cluster.world().run_for(milliseconds(200));
  const auto again = cluster.append(cluster.leader(), batch, Acks::all, seconds(5));
  BOOST_REQUIRE(again.has_value());
  BOOST_TEST(again->base == first->base);
  BOOST_TEST(cluster.replica(cluster.leader())->log().end().value() == 1);
}

BOOST_AUTO_TEST_CASE(what_is_not_durable_yet_is_not_acknowledged_to_the_next_leader) {
  TestCluster cluster(6, quick());
  cluster.world().run_for(milliseconds(100));
  // The third node takes long to sync, and the leader dies before it is done.
  cluster.world().node(three).disk().set_fault_hook([](const runtime::DiskAccess& access) {
    runtime::DiskFault fault;
    if (access.operation == runtime::DiskOperation::sync) fault.delay = milliseconds(400);
    return fault;
  });
  BOOST_REQUIRE(cluster.produce("a", Acks::leader));
  storage::Log& slow = cluster.replica(three)->log();
  const auto has_it = [&] { return slow.end().value() == 1; };
  BOOST_REQUIRE(cluster.world().run_until(has_it, seconds(1)).has_value());
  BOOST_REQUIRE(slow.durable_end().value() == 0);
  cluster.crash(one, {});
  bool is_early = false;
  const auto is_durable = [&] {
    const bool is_committed = cluster.replica(two)->high_watermark().value() == 1;
    is_early = is_early || (is_committed && slow.durable_end().value() == 0);
    return slow.durable_end().value() == 1;
  };
  BOOST_REQUIRE(cluster.world().run_until(is_durable, seconds(2)).has_value());
  BOOST_TEST(!is_early);
  BOOST_TEST(cluster.converge(seconds(10)).has_value());
}

BOOST_AUTO_TEST_CASE(idle_partitions_cost_fetches_nothing) {
  constexpr std::int32_t idle = 400;
  TestCluster cluster(9, quick(), idle + 1);
  cluster.world().run_for(seconds(1));
  const auto before = cluster.looks(one);
  const auto before_two = cluster.looks(two);
  BOOST_TEST(before.answering >= 2u * idle);
  BOOST_TEST(before_two.asking >= idle);
  cluster.world().run_for(seconds(10));
  BOOST_TEST(cluster.looks(one).answering == before.answering);
  BOOST_TEST(cluster.looks(two).asking == before_two.asking);

  constexpr std::uint64_t records = 20;
  for (std::uint64_t i = 0; i < records; ++i) BOOST_REQUIRE(cluster.produce("a", Acks::all));
  // A record is a few changes of the log end, the watermark and each follower's position.
  BOOST_TEST(cluster.looks(one).answering - before.answering <= 16 * records);
  BOOST_TEST(cluster.looks(two).asking - before_two.asking <= 8 * records);
}

BOOST_AUTO_TEST_CASE(a_leader_that_is_away_is_not_asked_for_all_that_it_led_again_and_again) {
  constexpr std::int32_t others = 400;
  TestCluster cluster(10, quick(), others + 1);
  cluster.world().run_for(seconds(1));
  cluster.crash(one, {});
  cluster.world().run_for(seconds(1));
  const std::uint64_t before = cluster.looks(two).asking;
  cluster.world().run_for(seconds(1));
  BOOST_TEST(cluster.looks(two).asking - before < others);
}

BOOST_AUTO_TEST_CASE(a_follower_of_an_idle_partition_stays_in_sync_when_it_is_written_again) {
  ReplicationOptions options = quick();
  TestCluster cluster(11, options);
  cluster.world().run_for(milliseconds(100));
  BOOST_REQUIRE(cluster.produce("a", Acks::all));
  cluster.world().run_for(options.lag_max * 20);
  // From here on no follower gets anything, and the leader looks at who lags.
  for (NodeId follower : {two, three}) {
    cluster.world().fabric().block(one, follower);
    cluster.world().fabric().break_between(one, follower);
  }
  BOOST_TEST(cluster.produce("b", Acks::leader));
  cluster.world().run_for(options.lag_max * 3 / 4);
  BOOST_TEST(cluster.isr().size() == 3u);
  cluster.world().run_for(options.lag_max * 2);
  BOOST_TEST(cluster.isr().size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_leader_proposes_the_incarnations_that_have_fetched) {
  TestCluster cluster(13, quick());
  cluster.world().run_for(milliseconds(100));
  BOOST_REQUIRE(cluster.produce("a", Acks::all));
  cluster.crash(three, {});
  cluster.world().run_for(milliseconds(100));
  BOOST_REQUIRE((cluster.isr() == std::vector<NodeId>{one, two}));
  // The leader hears of the next process long before that can fetch, and has all the first one had.
  cluster.world().fabric().block(three, one);
  cluster.restart(three);
  cluster.world().run_for(seconds(5));
  BOOST_TEST((cluster.isr() == std::vector<NodeId>{one, two}));
  cluster.world().fabric().heal();
  const auto is_whole = [&] { return cluster.isr().size() == 3; };
  BOOST_TEST(cluster.world().run_until(is_whole, seconds(60)).has_value());
  BOOST_TEST(cluster.stale_members() == 0);
}

BOOST_AUTO_TEST_CASE(a_follower_whose_session_is_lost_begins_another) {
  TestCluster cluster(12, quick());
  cluster.world().run_for(milliseconds(100));
  BOOST_REQUIRE(cluster.produce("a", Acks::all));
  cluster.forget_sessions(one);
  BOOST_TEST(cluster.produce("b", Acks::all));
}

// The leader is the only one in sync, loses what the disk did not keep, and leads again. Returns
// where the logs then end.
std::int64_t cut_by_a_crash_of_the_leader(std::uint64_t seed) {
  ReplicationOptions options = quick();
  options.log.durability = storage::Durability::none;
  options.min_insync_replicas = 1;
  TestCluster cluster(seed, options);
  cluster.world().run_for(milliseconds(100));
  for (const char* value : {"a", "b", "c"}) BOOST_REQUIRE(cluster.produce(value, Acks::all));
  BOOST_REQUIRE(cluster.converge(seconds(10)).has_value());
  runtime::Fabric& fabric = cluster.world().fabric();
  for (NodeId follower : {two, three}) {
    fabric.block(one, follower);
    fabric.break_between(one, follower);
  }
  BOOST_REQUIRE(cluster.produce("d", Acks::leader));
  const auto is_alone = [&] { return cluster.isr() == std::vector<NodeId>{one}; };
  BOOST_REQUIRE(cluster.world().run_until(is_alone, seconds(10)).has_value());
  cluster.crash(one, {.lose_unsynced = true});
  cluster.restart(one);
  fabric.heal();
  BOOST_REQUIRE(cluster.converge(seconds(10)).has_value());
  const Offset end = cluster.replica(one)->log().end();
  for (NodeId node : TestCluster::nodes) {
    BOOST_TEST(cluster.replica(node)->log().end() == end);
    BOOST_TEST(cluster.replica(node)->high_watermark() == end);
  }
  return end.value();
}

BOOST_AUTO_TEST_CASE(a_watermark_goes_back_with_a_log_that_is_cut) {
  // How much of it the disk keeps is drawn from the seed: of these, some keep nothing.
  int emptied = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      emptied += cut_by_a_crash_of_the_leader(seed) == 0 ? 1 : 0;
    }
  }
  BOOST_TEST(emptied > 0);
}

BOOST_AUTO_TEST_CASE(a_follower_gives_up_a_connection_on_which_no_answer_comes) {
  TestCluster cluster(8, quick());
  cluster.world().run_for(milliseconds(100));
  cluster.set_mute(one, true);
  cluster.world().run_for(milliseconds(500));
  cluster.set_mute(one, false);
  BOOST_TEST(cluster.produce("a", Acks::all, seconds(60)));
}

// Crashes, with and without the loss of unsynced bytes, restarts and one-way partitions while
// records are written: what was acknowledged is there in the end, once and in order, on every
// replica. Returns how many were acknowledged.
std::size_t survive(std::uint64_t seed) {
  TestCluster cluster(seed, quick());
  Prng& random = cluster.world().random();
  cluster.world().run_for(milliseconds(50));
  std::vector<std::string> acknowledged;
  for (int step = 0; step < 60; ++step) {
    const NodeId node = TestCluster::nodes[random.below(3)];
    const auto down = std::count_if(TestCluster::nodes.begin(), TestCluster::nodes.end(),
                                    [&](NodeId n) { return !cluster.is_up(n); });
    if (random.chance(0.2) && cluster.is_up(node) && down < 2) {
      cluster.crash(node, {.lose_unsynced = random.chance(0.5), .silent = random.chance(0.3)});
    } else if (random.chance(0.3) && !cluster.is_up(node)) {
      cluster.restart(node);
    }
    runtime::Fabric& fabric = cluster.world().fabric();
    if (random.chance(0.15)) fabric.block(node, TestCluster::nodes[random.below(3)]);
    if (random.chance(0.2)) fabric.heal();
    const std::string value = fmt::format("{}", step);
    if (cluster.produce(value, Acks::all, milliseconds(random.between(5, 400))))
      acknowledged.push_back(value);
    if (random.chance(0.3)) cluster.world().run_for(milliseconds(random.between(0, 100)));
  }
  cluster.world().fabric().heal();
  for (NodeId node : TestCluster::nodes) {
    if (!cluster.is_up(node)) cluster.restart(node);
  }
  const auto converged = cluster.converge(seconds(60));
  BOOST_REQUIRE_MESSAGE(converged.has_value(),
                        "seed " << seed << ": " << converged.error().message());
  const auto values = cluster.values(one);
  BOOST_REQUIRE_MESSAGE(cluster.values(two) == values && cluster.values(three) == values,
                        "seed " << seed);
  std::vector<std::string> found;
  for (const std::string& value : values) {
    if (std::find(acknowledged.begin(), acknowledged.end(), value) != acknowledged.end())
      found.push_back(value);
  }
  BOOST_REQUIRE_MESSAGE(found == acknowledged, "seed " << seed << ": " << found.size() << " of "
                                                       << acknowledged.size()
                                                       << " acknowledged records are there");
  return acknowledged.size();
}

BOOST_AUTO_TEST_CASE(acknowledged_records_survive_crashes_of_any_two_nodes) {
  constexpr std::uint64_t seeds = 300;
  std::size_t acknowledged = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) acknowledged += survive(seed);
  // A run that acknowledges nothing proves nothing.
  BOOST_TEST(acknowledged >= 10 * seeds);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::replication
