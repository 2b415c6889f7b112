// What is particular to groups: what they share, and what becomes of one that lags.

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "replication/consensus_replicator.h"
#include "replication/test_cluster.h"
#include "sim/modules.h"
#include "storage/keyed_records.h"

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

// An answer to a replica that lags, as consensus_replicator.h has it.
GroupItem records_of(Offset begin, Bytes batch) {
  stamp_batch(batch, begin, LeaderEpoch{0});
  BytesWriter body;
  body.put(begin.value());
  body.put(Offset{0}.value());
  body.put(std::uint8_t{0});
  body.put_bytes(batch);
  return {{TestCluster::topic_id, TestCluster::index}, GroupItem::Kind::records, body.take()};
}

std::uint64_t refused(TestCluster& cluster, NodeId node) {
  return cluster.groups(node).stats().messages_refused;
}

BOOST_AUTO_TEST_CASE(what_no_group_can_take_is_refused_and_counted) {
  TestCluster cluster(1, {}, 1, found("raft"));
  cluster.world().run_for(seconds(3));
  BOOST_REQUIRE(cluster.produce("first", Acks::all));
  BOOST_REQUIRE(cluster.converge(seconds(10)).has_value());
  const GroupItem unasked = records_of(Offset{1}, storage::keyed_batch({"a=1"}));
  GroupItem no_request = unasked;
  no_request.kind = GroupItem::Kind::records_request;
  GroupItem no_message = unasked;
  no_message.kind = GroupItem::Kind::consensus;
  GroupItem request = no_request;
  BytesWriter body;
  body.put(Offset{0}.value());
  body.put(Offset{1}.value());
  request.body = body.take();
  const NodeId stranger{4};
  std::uint64_t expected = refused(cluster, two);
  for (const auto& [from, item] : {std::pair(one, unasked), std::pair(one, no_request),
                                   std::pair(one, no_message), std::pair(stranger, request)}) {
    cluster.tell_groups(two, from, item);
    BOOST_TEST(refused(cluster, two) == ++expected);
  }
  cluster.tell_groups(two, one, request);
  BOOST_TEST(refused(cluster, two) == expected);
  BOOST_TEST(cluster.produce("last", Acks::all));
  BOOST_REQUIRE(cluster.converge(seconds(10)).has_value());
  BOOST_TEST((cluster.values(two) == std::vector<std::string>{"first", "last"}));
}

BOOST_DATA_TEST_CASE(a_replica_that_copies_takes_records_of_nobody_but_whom_it_asked, modules,
                     module) {
  TestCluster cluster(3, {}, 1, found(module));
  cluster.world().run_for(seconds(3));
  const NodeId leader = cluster.leader();
  const NodeId away = leader == three ? two : three;
  const NodeId other{6 - leader.value() - away.value()};
  cluster.crash(away, {});
  cluster.world().run_for(milliseconds(100));
  std::vector<std::string> expected;
  for (int i = 0; i < 300; ++i) {
    expected.push_back(std::to_string(i) + std::string(400, '.'));
    BOOST_REQUIRE(cluster.produce(expected.back(), Acks::all));
  }
  cluster.restart(away);
  for (int i = 0; i < 5000; ++i) {
    cluster.world().run_for(std::chrono::microseconds(200));
    Replicator* const replica = cluster.replica(away);
    if (replica == nullptr) continue;
    const Offset end = replica->log().end();
    cluster.tell_groups(away, other, records_of(end, storage::keyed_batch({"a=1"})));
  }
  BOOST_REQUIRE(cluster.converge(seconds(30)).has_value());
  BOOST_TEST(cluster.values(away) == expected, boost::test_tools::per_element());
  BOOST_TEST(refused(cluster, away) > 0u);
}

// What the client deletes and compaction takes away is gone from what a replica copies too.
ReplicationOptions cleaned(storage::CleanupPolicy policy) {
  ReplicationOptions options;
  options.retention_check_interval = milliseconds(20);
  options.log.retention = milliseconds(-1);
  options.log.segment_bytes = 3000;
  options.log.cleanup_policy = policy;
  options.log.cleanable_ratio_min = 0;
  return options;
}

void append_many(TestCluster& cluster, int batches) {
  for (int i = 0; i < batches; ++i) {
    const auto appended = cluster.append(
        cluster.leader(), storage::keyed_batch({"a=" + std::string(400, '.'), "b=1", "c=1"}),
        Acks::all, seconds(5));
    BOOST_REQUIRE_MESSAGE(appended.has_value(), (appended ? "" : appended.error().message()));
  }
}

BOOST_DATA_TEST_CASE(a_replica_that_copies_begins_where_its_leader_does, modules, module) {
  // Within a batch, which it takes whole; below what it has; and at the end.
  for (const std::int64_t before : {400, 2, 903}) {
    TestCluster cluster(4, cleaned(storage::CleanupPolicy::by_age_and_size), 1, found(module));
    cluster.world().run_for(seconds(3));
    const NodeId away = cluster.leader() == three ? two : three;
    append_many(cluster, 1);
    BOOST_REQUIRE(cluster.converge(seconds(10)).has_value());
    cluster.crash(away, {});
    cluster.world().run_for(milliseconds(100));
    append_many(cluster, 200);
    const NodeId leader = cluster.leader();
    Replicator* const replica = cluster.replica(leader);
    const auto deleted =
        runtime::run(cluster.world(), leader,
                     replica->delete_records(Offset{std::min<std::int64_t>(before, 603)},
                                             cluster.world().node(leader).now() + seconds(5)));
    BOOST_REQUIRE(deleted.has_value());
    if (before < 603) append_many(cluster, 100);
    cluster.restart(away);
    BOOST_REQUIRE(cluster.converge(seconds(30)).has_value());
    BOOST_TEST(cluster.replica(away)->log().start() == *deleted);
    BOOST_TEST(cluster.replica(away)->log().end() == replica->log().end());
  }
}

BOOST_DATA_TEST_CASE(a_replica_that_copies_takes_what_compaction_has_left, modules, module) {
  TestCluster cluster(5, cleaned(storage::CleanupPolicy::compact), 1, found(module));
  cluster.world().run_for(seconds(3));
  const NodeId away = cluster.leader() == three ? two : three;
  append_many(cluster, 1);
  BOOST_REQUIRE(cluster.converge(seconds(10)).has_value());
  cluster.crash(away, {});
  cluster.world().run_for(milliseconds(100));
  append_many(cluster, 300);
  cluster.world().run_for(milliseconds(500));
  BOOST_TEST(cluster.replica(cluster.leader())->log().size_bytes() < 40'000u);
  cluster.restart(away);
  BOOST_REQUIRE(cluster.converge(seconds(30)).has_value());
  BOOST_TEST(cluster.replica(away)->log().end().value() == 903);
  BOOST_TEST(cluster.replica(away)->log().size_bytes() < 40'000u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::replication
