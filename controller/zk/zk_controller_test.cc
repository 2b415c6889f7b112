// Who decides: elections, epochs, sessions and registrations, on a keeper of the simulation.

#include "controller/zk/zk_controller.h"

#include <boost/test/unit_test.hpp>

#include "controller/zk/cluster_test.h"

namespace qlab::controller {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr NodeId n1{11};
constexpr NodeId n2{12};
constexpr NodeId n3{13};

BOOST_AUTO_TEST_SUITE(controller_zk)

BOOST_AUTO_TEST_CASE(one_node_wins_and_all_know_it) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Cluster cluster(seed);
    cluster.until_ready();
    const NodeId leader = *cluster.active();
    for (const NodeId id : {n1, n2, n3}) {
      cluster.ensemble.until([&] { return cluster.at(id).active() == leader; });
      BOOST_TEST(cluster.at(id).is_active() == (id == leader));
    }
    BOOST_TEST(*cluster.znode("/controller_epoch") == std::to_string(*cluster.at(leader).epoch()));
  }
}

BOOST_AUTO_TEST_CASE(a_call_to_another_than_the_active_controller_is_refused) {
  Cluster cluster(1);
  cluster.until_ready();
  const NodeId other = *cluster.active() == n1 ? n2 : n1;
  std::vector<NewTopic> topics(1, Cluster::placed("t", 1, 1));
  const auto made = cluster.run(
      other, cluster.at(other).create_topics(std::move(topics), false, cluster.deadline(other)));
  BOOST_REQUIRE(!made.has_value());
  BOOST_TEST((made.error().code == Errc::not_leader));
}

BOOST_AUTO_TEST_CASE(when_the_active_controller_dies_another_one_takes_over_with_a_higher_epoch) {
  Cluster cluster(2);
  cluster.until_ready();
  const NodeId first = *cluster.active();
  const auto epoch = *cluster.at(first).epoch();
  cluster.crash(first);
  const Time at = cluster.world().now();
  const NodeId second = cluster.until_active();
  BOOST_TEST(second != first);
  BOOST_TEST(*cluster.at(second).epoch() == epoch + 1);
  // Not before the session of the dead one has run out.
  BOOST_TEST((cluster.world().now() - at >= Cluster::session_timeout / 2));
}

BOOST_AUTO_TEST_CASE(a_controller_that_was_deposed_behind_its_back_writes_nothing) {
  Cluster cluster(3);
  cluster.until_ready();
  const NodeId leader = *cluster.active();
  // As if another had been elected, without the watch on /controller telling.
  cluster.write(set_request("/controller_epoch", "100"));
  std::vector<NewTopic> topics(1, Cluster::placed("t", 1, 1));
  const auto made = cluster.run(
      leader, cluster.at(leader).create_topics(std::move(topics), false, cluster.deadline(leader)));
  BOOST_REQUIRE(!made.has_value());
  BOOST_TEST((made.error().code == Errc::not_leader));
  BOOST_TEST(!cluster.znode("/brokers/topics/t").has_value());
}

BOOST_AUTO_TEST_CASE(brokers_refuse_a_controller_of_the_past) {
  Cluster cluster(4);
  cluster.until_ready();
  const NodeId leader = *cluster.active();
  for (const NodeId id : {n1, n2, n3}) cluster.listeners[id].controller_epoch = 100;
  cluster.create(Cluster::placed("t", 1, 3));
  cluster.world().run_for(seconds(1));
  BOOST_TEST(cluster.at(leader).is_active());
  for (const NodeId id : {n1, n2, n3}) {
    BOOST_TEST(cluster.listeners[id].refused > 0);
    BOOST_TEST(cluster.listeners[id].replicas.empty());
  }
}

BOOST_AUTO_TEST_CASE(a_session_that_is_over_ends_the_office_and_the_registration) {
  Cluster cluster(5);
  cluster.until_ready();
  const NodeId leader = *cluster.active();
  const BrokerEpoch before = *cluster.epoch_of(leader);
  const auto epoch = *cluster.at(leader).epoch();
  cluster.world().pause(leader);
  cluster.world().run_for(Cluster::session_timeout * 2);
  const NodeId next = cluster.until_active();
  cluster.world().resume(leader);
  cluster.ensemble.until([&] {
    const auto now = cluster.epoch_of(leader);
    return now.has_value() && *now > before;
  });
  cluster.until_ready();
  BOOST_TEST(!cluster.at(leader).is_active());
  BOOST_TEST(*cluster.at(next).epoch() > epoch);
  Heartbeat heartbeat;
  heartbeat.broker = leader;
  heartbeat.epoch = before;
  const auto beat =
      cluster.run(leader, cluster.at(leader).heartbeat(heartbeat, cluster.deadline(leader)));
  BOOST_REQUIRE(!beat.has_value());
  BOOST_TEST((beat.error().code == Errc::fenced));
}

BOOST_AUTO_TEST_CASE(an_id_whose_session_lives_is_not_registered_a_second_time) {
  Cluster cluster(6);
  cluster.until_ready();
  Registration registration;
  registration.broker = n2;
  registration.endpoint = {"elsewhere", 9092};
  const auto epoch =
      cluster.run(n1, cluster.at(n1).register_broker(registration, cluster.deadline(n1)));
  BOOST_REQUIRE(!epoch.has_value());
  BOOST_TEST((epoch.error().code == Errc::exists));
}

BOOST_AUTO_TEST_CASE(a_stopped_node_leaves_at_once) {
  Cluster cluster(7);
  cluster.until_ready();
  const NodeId leader = *cluster.active();
  const Time at = cluster.world().now();
  cluster.run(leader, cluster.at(leader).stop());
  const NodeId next = cluster.until_active();
  BOOST_TEST(next != leader);
  BOOST_TEST((cluster.world().now() - at < Cluster::session_timeout / 2));
}

BOOST_AUTO_TEST_CASE(producer_ids_are_given_once_across_controllers) {
  Cluster cluster(8);
  cluster.until_ready();
  const NodeId leader = *cluster.active();
  const NodeId other = leader == n1 ? n2 : n1;
  const auto ask = [&](NodeId of, NodeId broker) {
    return cluster.run(of, cluster.at(of).allocate_producer_ids(broker, *cluster.epoch_of(broker),
                                                                cluster.deadline(of)));
  };
  const auto first = ask(leader, leader);
  const auto second = ask(leader, other);
  BOOST_REQUIRE((first.has_value() && second.has_value()));
  BOOST_TEST(first->first == ProducerId{0});
  BOOST_TEST(second->first == ProducerId{first->count});
  cluster.crash(leader);
  const NodeId next = cluster.until_active();
  const auto third = ask(next, next);
  BOOST_REQUIRE(third.has_value());
  BOOST_TEST(third->first == ProducerId{first->count + second->count});
  const auto stale = cluster.run(
      next, cluster.at(next).allocate_producer_ids(next, BrokerEpoch{1}, cluster.deadline(next)));
  BOOST_REQUIRE(!stale.has_value());
  BOOST_TEST((stale.error().code == Errc::fenced));
}

BOOST_AUTO_TEST_CASE(a_keeper_that_restarts_costs_nobody_the_office) {
  Cluster cluster(9, 3, 3);
  cluster.until_ready();
  const NodeId leader = *cluster.active();
  const auto epoch = *cluster.at(leader).epoch();
  cluster.ensemble.crash(NodeId{1});
  cluster.ensemble.boot(NodeId{1});
  cluster.world().run_for(milliseconds(500));
  const TopicOutcome made = cluster.create(Cluster::placed("t", 3, 3));
  BOOST_TEST((made.error == wire::KafkaError::none));
  BOOST_TEST(*cluster.at(cluster.until_active()).epoch() >= epoch);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::controller
