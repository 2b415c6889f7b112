// What every replicator keeps (replicator.h), whatever makes the copies: three nodes in a simulated
// world, whose controller is the test.

#include <algorithm>
#include <set>

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "replication/test_cluster.h"
#include "sim/modules.h"

namespace qlab::replication {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Values = std::vector<std::string>;
namespace data = boost::unit_test::data;

struct Kind {
  std::string_view name;
  std::string_view module;  // Empty: copied by fetching.

  consensus::ModuleFactory groups() const {
    if (module.empty()) return nullptr;
    return sim::find_module(module).value();
  }
};
std::ostream& operator<<(std::ostream& out, const Kind& kind) {
  return out << kind.name;
}
const std::vector<Kind> kinds{
    {"isr", ""}, {"consensus_raft", "raft"}, {"consensus_kraft", "kraft"}};

ReplicationOptions quick() {
  ReplicationOptions options;
  options.lag_max = milliseconds(500);
  options.fetch_wait_max = milliseconds(50);
  options.fetch_backoff = milliseconds(10);
  options.min_insync_replicas = 2;
  return options;
}

struct Under : TestCluster {
  Under(std::uint64_t seed, const Kind& kind) : TestCluster(seed, quick(), 1, kind.groups()) {}

  void wait(std::string what, const std::function<bool()>& holds) {
    const auto held = world().run_until(holds, seconds(30));
    BOOST_REQUIRE_MESSAGE(held.has_value(), what);
  }
  bool leads(NodeId node) {
    return is_up(node) && replica(node) != nullptr && replica(node)->is_leader();
  }
  void wait_led() {
    wait("a leader", [&] { return leader() != no_node && leads(leader()); });
  }
  // Until it is acknowledged; what was tried before may be there too.
  void insist(const std::string& value) {
    for (int tries = 0; tries < 100; ++tries) {
      if (produce(value, Acks::all)) return;
      world().run_for(milliseconds(50));
    }
    BOOST_FAIL(value << " was never acknowledged");
  }
};

Bytes batch_of(std::int32_t sequence, std::int16_t epoch = 0) {
  BatchHeader header;
  header.producer_id = ProducerId{7};
  header.producer_epoch = epoch;
  header.base_sequence = sequence;
  Record record;
  record.value = Bytes{};
  return encode_batch({record}, header);
}

BOOST_AUTO_TEST_SUITE(replicator_contract)

BOOST_DATA_TEST_CASE(what_is_acknowledged_by_all_is_on_every_replica_in_one_order,
                     data::make(kinds), kind) {
  Under cluster(1, kind);
  cluster.wait_led();
  Values expected;
  for (int i = 0; i < 20; ++i) {
    expected.push_back(std::to_string(i));
    BOOST_REQUIRE(cluster.produce(expected.back(), Acks::all));
  }
  BOOST_REQUIRE(cluster.converge(seconds(10)).has_value());
  for (const NodeId node : TestCluster::nodes) {
    BOOST_TEST(cluster.values(node) == expected, boost::test_tools::per_element());
  }
}

BOOST_DATA_TEST_CASE(one_leads_and_the_others_refuse_by_name, data::make(kinds), kind) {
  Under cluster(2, kind);
  cluster.wait_led();
  for (const NodeId node : TestCluster::nodes) {
    if (node == cluster.leader()) continue;
    BOOST_TEST(!cluster.leads(node));
    const auto refused = cluster.append(node, batch_of(0), Acks::all, seconds(1));
    BOOST_REQUIRE(!refused.has_value());
    BOOST_TEST((refused.error().code == Errc::not_leader), refused.error().message());
  }
}

BOOST_DATA_TEST_CASE(a_batch_that_comes_twice_is_appended_once_and_one_out_of_turn_is_refused,
                     data::make(kinds), kind) {
  Under cluster(3, kind);
  cluster.wait_led();
  cluster.world().run_for(seconds(2));  // Beyond the grace that a new leader gives.
  const NodeId leader = cluster.leader();
  const auto first = cluster.append(leader, batch_of(0), Acks::all, seconds(5));
  const auto again = cluster.append(leader, batch_of(0), Acks::all, seconds(5));
  BOOST_REQUIRE(first.has_value());
  BOOST_REQUIRE(again.has_value());
  BOOST_TEST((first->base == again->base));
  const auto gap = cluster.append(leader, batch_of(5), Acks::all, seconds(5));
  BOOST_REQUIRE(!gap.has_value());
  BOOST_TEST((gap.error().code == Errc::out_of_sequence), gap.error().message());
  BOOST_REQUIRE(cluster.append(leader, batch_of(0, 2), Acks::all, seconds(5)).has_value());
  const auto old = cluster.append(leader, batch_of(1, 1), Acks::all, seconds(5));
  BOOST_REQUIRE(!old.has_value());
  BOOST_TEST((old.error().code == Errc::stale_producer), old.error().message());
}

BOOST_DATA_TEST_CASE(a_producer_goes_on_with_the_next_leader, data::make(kinds), kind) {
  Under cluster(4, kind);
  cluster.wait_led();
  const NodeId old = cluster.leader();
  const auto first = cluster.append(old, batch_of(0), Acks::all, seconds(5));
  BOOST_REQUIRE(first.has_value());
  cluster.crash(old, {});
  cluster.wait_led();
  const auto again = cluster.append(cluster.leader(), batch_of(0), Acks::all, seconds(5));
  BOOST_REQUIRE_MESSAGE(again.has_value(), (again ? "" : again.error().message()));
  BOOST_TEST((first->base == again->base));
  BOOST_TEST(cluster.append(cluster.leader(), batch_of(1), Acks::all, seconds(5)).has_value());
}

BOOST_DATA_TEST_CASE(a_consumer_reads_below_the_watermark_and_is_told_what_is_wrong_otherwise,
                     data::make(kinds), kind) {
  Under cluster(5, kind);
  cluster.wait_led();
  BOOST_REQUIRE(cluster.produce("a", Acks::all));
  const NodeId leader = cluster.leader();
  const auto fetch = [&](NodeId node, ConsumerFetch wanted) {
    return runtime::run(cluster.world(), node,
                        cluster.replica(node)->fetch_as_consumer(std::move(wanted), 1u << 20));
  };
  const auto read = fetch(leader, {Offset{0}});
  BOOST_REQUIRE(read.has_value());
  BOOST_TEST(read->high_watermark.value() == 1);
  BOOST_TEST(check_batches(read->batches).value().size() == 1u);
  BOOST_TEST((fetch(leader, {Offset{2}}).error().code == Errc::out_of_range));
  const LeaderEpoch epoch = cluster.replica(leader)->state().leader_epoch;
  BOOST_TEST((fetch(leader, {Offset{0}, epoch.next()}).error().code == Errc::unknown_epoch));
  const NodeId other = leader == NodeId{1} ? NodeId{2} : NodeId{1};
  BOOST_TEST((fetch(other, {Offset{0}}).error().code == Errc::not_leader));
}

BOOST_AUTO_TEST_CASE(who_knows_an_older_leader_epoch_is_fenced_and_who_knows_a_newer_one_waits) {
  const TopicPartition partition{"orders", PartitionIndex{0}};
  const LeaderEpoch here{3};
  BOOST_TEST(check_epoch(partition, here, here).has_value());
  BOOST_TEST(check_epoch(partition, here, no_leader_epoch).has_value());
  BOOST_TEST((check_epoch(partition, here, LeaderEpoch{2}).error().code == Errc::fenced));
  BOOST_TEST((check_epoch(partition, here, LeaderEpoch{4}).error().code == Errc::unknown_epoch));
}

BOOST_DATA_TEST_CASE(deleted_records_are_gone_on_every_replica, data::make(kinds), kind) {
  Under cluster(6, kind);
  cluster.wait_led();
  for (int i = 0; i < 5; ++i) BOOST_REQUIRE(cluster.produce(std::to_string(i), Acks::all));
  const NodeId leader = cluster.leader();
  const auto remove = [&](Offset before) {
    const Time deadline = cluster.world().node(leader).now() + seconds(5);
    return runtime::run(cluster.world(), leader,
                        cluster.replica(leader)->delete_records(before, deadline), seconds(10));
  };
  BOOST_TEST((remove(Offset{9}).error().code == Errc::out_of_range));
  const auto low = remove(Offset{3});
  BOOST_REQUIRE_MESSAGE(low.has_value(), (low ? "" : low.error().message()));
  BOOST_TEST(low->value() == 3);
  cluster.wait("all replicas to begin at 3", [&] {
    return std::all_of(TestCluster::nodes.begin(), TestCluster::nodes.end(), [&](NodeId node) {
      return cluster.replica(node)->log().start().value() == 3;
    });
  });
}

BOOST_DATA_TEST_CASE(acknowledged_records_survive_crashes_that_lose_what_was_not_synced,
                     data::make(kinds) * data::xrange(1, 21), kind, seed) {
  Under cluster(static_cast<std::uint64_t>(seed), kind);
  cluster.wait_led();
  Prng random(static_cast<std::uint64_t>(seed) * 77);
  Values acknowledged;
  for (int round = 0; round < 6; ++round) {
    for (int i = 0; i < 3; ++i) {
      const std::string value = std::to_string(round * 3 + i);
      cluster.insist(value);
      acknowledged.push_back(value);
    }
    const NodeId victim = TestCluster::nodes[random.below(3)];
    cluster.crash(victim, {});
    if (random.chance(0.5)) cluster.insist("while " + std::to_string(round));
    cluster.world().run_for(milliseconds(random.between(1, 400)));
    cluster.restart(victim);
    cluster.wait("all in sync", [&] { return cluster.isr().size() == 3; });
  }
  BOOST_REQUIRE_MESSAGE(cluster.converge(seconds(30)).has_value(), "seed " << seed);
  const Values first = cluster.values(NodeId{1});
  for (const NodeId node : TestCluster::nodes) {
    BOOST_TEST(cluster.values(node) == first, boost::test_tools::per_element());
  }
  auto at = first.begin();
  for (const std::string& value : acknowledged) {
    at = std::find(at, first.end(), value);
    BOOST_REQUIRE_MESSAGE(at != first.end(), value << " is lost, seed " << seed);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::replication
