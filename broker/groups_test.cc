// Whole nodes in a simulated world, with replicator=consensus.

#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "broker/testing_cluster.h"
#include "wire/kafka/list_offsets.h"

namespace qlab::broker {
namespace {

using namespace testing;
using std::chrono::milliseconds;
using Values = std::vector<std::string>;
constexpr NodeId one{1};

std::string with_groups(NodeId) {
  return "replicator=consensus\n";
}

struct Fixture {
  Fixture() { set_log_level(LogLevel::error); }
  ~Fixture() { set_log_level(LogLevel::info); }
};

BOOST_FIXTURE_TEST_SUITE(groups, Fixture)

BOOST_DATA_TEST_CASE(what_a_group_of_one_acknowledged_is_there_after_the_power_failed,
                     boost::unit_test::data::xrange(1, 6), seed) {
  Cluster cluster(static_cast<std::uint64_t>(seed), 1, with_groups);
  cluster.create_topic(one, 1);
  cluster.produce(one, "a");
  cluster.produce(one, "b");
  BOOST_TEST((cluster.consume(one) == Values{"a", "b"}));
  cluster.crash(one);
  cluster.boot(one);
  cluster.wait_ready(one);
  cluster.produce(one, "c");
  BOOST_TEST((cluster.consume(one) == Values{"a", "b", "c"}));
}

BOOST_DATA_TEST_CASE(a_group_elects_a_leader_that_clients_are_told_of_when_the_old_one_dies,
                     boost::unit_test::data::xrange(1, 6), seed) {
  Cluster cluster(static_cast<std::uint64_t>(seed), 3, with_groups);
  cluster.create_topic(one, 3);
  cluster.produce(one, "a");
  const NodeId old = cluster.partition(one).leader_id;
  const NodeId other = old == one ? NodeId{2} : one;
  cluster.crash(old);
  cluster.produce(other, "b");
  const auto now = cluster.partition(other);
  BOOST_TEST((now.leader_id != old));
  BOOST_TEST((cluster.consume(now.leader_id) == Values{"a", "b"}));

  cluster.boot(old);
  cluster.wait_ready(old);
  cluster.wait("the old leader to be in sync",
               [&] { return cluster.partition(other).isr_nodes.size() == 3; });
  cluster.produce(other, "c");
  BOOST_TEST((cluster.consume(cluster.partition(other).leader_id) == Values{"a", "b", "c"}));
}

BOOST_AUTO_TEST_CASE(a_node_that_is_stopped_hands_over_the_groups_that_it_leads_first) {
  Cluster cluster(1, 3, with_groups);
  cluster.create_topic(one, 3);
  cluster.produce(one, "a");
  const NodeId old = cluster.partition(one).leader_id;
  const NodeId other = old == one ? NodeId{2} : one;
  const Time before = cluster.world().now();
  cluster.stop(old);
  cluster.produce(other, "b");
  // Far less than broker.session.timeout.ms, by which a dead leader is found out.
  BOOST_TEST((cluster.world().now() - before < seconds(6)));
  BOOST_TEST((cluster.consume(cluster.partition(other).leader_id) == Values{"a", "b"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::broker
