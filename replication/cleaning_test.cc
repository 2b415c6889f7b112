// Old records on several replicas: what is deleted and compacted at the leader.

#include <boost/test/unit_test.hpp>

#include "replication/test_cluster.h"
#include "storage/keyed_records.h"

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
  options.retention_check_interval = milliseconds(20);
  options.log.retention = milliseconds(-1);  // What is appended here is ages old.
  options.log.segment_bytes = 300;
  options.log.index_interval_bytes = 100;
  return options;
}

void append(TestCluster& cluster, Bytes batch) {
  const auto appended = cluster.append(cluster.leader(), std::move(batch), Acks::all, seconds(5));
  BOOST_REQUIRE_MESSAGE(appended.has_value(), (appended ? "" : appended.error().message()));
}

Result<Offset> delete_records(TestCluster& cluster, std::int64_t before,
                              Duration limit = seconds(5)) {
  Replicator* const leader = cluster.replica(cluster.leader());
  const Time deadline = cluster.world().node(cluster.leader()).now() + limit;
  Result<Offset> low = fail(Errc::aborted, "not run");
  const auto task = [&]() -> Task<void> {
    low = co_await leader->delete_records(Offset{before}, deadline);
  };
  runtime::run(cluster.world(), cluster.leader(), task());
  return low;
}

void converge(TestCluster& cluster) {
  const auto converged = cluster.converge(seconds(10));
  BOOST_REQUIRE_MESSAGE(converged.has_value(), (converged ? "" : converged.error().message()));
}

std::int64_t start_of(TestCluster& cluster, NodeId node) {
  return cluster.replica(node)->log().start().value();
}

BOOST_AUTO_TEST_SUITE(replication_cleaning)

BOOST_AUTO_TEST_CASE(a_deletion_is_answered_when_all_replicas_in_sync_have_deleted) {
  TestCluster cluster(1, quick());
  cluster.world().run_for(milliseconds(100));
  for (int i = 0; i < 20; ++i) append(cluster, storage::keyed_batch({"a=1", "b=1"}));
  BOOST_TEST(delete_records(cluster, 15).value().value() == 15);
  for (NodeId node : TestCluster::nodes) BOOST_TEST(start_of(cluster, node) == 15);
  BOOST_TEST((delete_records(cluster, 41).error().code == Errc::out_of_range));
  BOOST_TEST((delete_records(cluster, -2).error().code == Errc::out_of_range));
  BOOST_TEST(delete_records(cluster, -1).value().value() == 40);
  for (NodeId node : TestCluster::nodes) BOOST_TEST(start_of(cluster, node) == 40);
  append(cluster, storage::keyed_batch({"a=1"}));
}

BOOST_AUTO_TEST_CASE(a_deletion_that_a_replica_in_sync_does_not_hear_of_times_out) {
  TestCluster cluster(2, quick());
  cluster.world().run_for(milliseconds(100));
  append(cluster, storage::keyed_batch({"a=1", "b=1"}));
  cluster.set_mute(cluster.leader(), true);
  BOOST_TEST((delete_records(cluster, 1, milliseconds(100)).error().code == Errc::timed_out));
}

BOOST_AUTO_TEST_CASE(a_follower_that_was_away_begins_anew_where_its_leader_does) {
  TestCluster cluster(3, quick());
  cluster.world().run_for(milliseconds(100));
  for (int i = 0; i < 5; ++i) append(cluster, storage::keyed_batch({"a=1"}));
  cluster.crash(three, {});
  for (int i = 0; i < 20; ++i) append(cluster, storage::keyed_batch({"a=1", "b=1", "c=1"}));
  // Within a batch, which the follower takes whole.
  BOOST_TEST(delete_records(cluster, 33).value().value() == 33);
  cluster.restart(three);
  converge(cluster);
  BOOST_TEST(start_of(cluster, three) == 33);
  BOOST_TEST(cluster.replica(three)->log().end().value() == 65);
}

BOOST_AUTO_TEST_CASE(a_follower_that_was_away_takes_what_compaction_has_left) {
  ReplicationOptions options = quick();
  options.log.cleanup_policy = storage::CleanupPolicy::compact;
  options.log.cleanable_ratio_min = 0;
  TestCluster cluster(4, options);
  cluster.world().run_for(milliseconds(100));
  cluster.crash(three, {});
  for (int i = 0; i < 60; ++i) append(cluster, storage::keyed_batch({"a=1", "b=1"}));
  cluster.world().run_for(milliseconds(500));
  const std::uint64_t bytes = cluster.replica(cluster.leader())->log().size_bytes();
  BOOST_TEST(bytes < 2000u);
  cluster.restart(three);
  converge(cluster);
  BOOST_TEST(cluster.replica(three)->log().end().value() == 120);
  BOOST_TEST(cluster.replica(three)->log().size_bytes() < 2000u);
  BOOST_TEST(cluster.values(three).size() < 30u);
}

BOOST_AUTO_TEST_CASE(what_is_too_much_is_deleted_on_every_replica) {
  ReplicationOptions options = quick();
  options.log.retention_bytes = 1000;
  TestCluster cluster(5, options);
  cluster.world().run_for(milliseconds(100));
  for (int i = 0; i < 60; ++i) append(cluster, storage::keyed_batch({"a=1", "b=1"}));
  cluster.world().run_for(milliseconds(500));
  for (NodeId node : TestCluster::nodes) {
    BOOST_TEST(start_of(cluster, node) > 60);
    BOOST_TEST(cluster.replica(node)->log().size_bytes() < 1500u);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::replication
