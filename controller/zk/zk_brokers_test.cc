// Brokers fail, come back as other processes, and leave in an orderly way.

#include <boost/test/unit_test.hpp>

#include "controller/zk/cluster_test.h"

namespace qlab::controller {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr NodeId n1{11};
constexpr NodeId n2{12};
constexpr NodeId n3{13};

const TopicPartition first{"t", PartitionIndex{0}};

NodeId other_than(NodeId a, NodeId b) {
  for (const NodeId id : {n1, n2, n3}) {
    if (id != a && id != b) return id;
  }
  return no_node;
}

BOOST_AUTO_TEST_SUITE(controller_zk)

BOOST_AUTO_TEST_CASE(when_a_broker_dies_the_next_in_sync_leads_and_it_leaves_the_isr) {
  Cluster cluster(1);
  cluster.until_ready();
  const NodeId active = *cluster.active();
  const NodeId dead = active == n1 ? n2 : n1;
  const NodeId other = other_than(active, dead);
  cluster.create(Cluster::topic("t", {{dead, other, active}, {other, dead, active}}));
  cluster.crash(dead);
  cluster.ensemble.until([&] { return cluster.state("t", 1)->isr.size() == 2; });
  cluster.world().run_for(seconds(1));
  const auto led = *cluster.state("t", 0);
  BOOST_TEST(led.leader == other);
  BOOST_TEST(led.leader_epoch == LeaderEpoch{1});
  BOOST_TEST((led.isr == std::vector<NodeId>{other, active}));
  const auto followed = *cluster.state("t", 1);
  BOOST_TEST(followed.leader == other);
  BOOST_TEST((followed.isr == std::vector<NodeId>{other, active}));
  BOOST_TEST(cluster.listeners[other].replicas[first].leader == other);
  BOOST_TEST(cluster.listeners[active].metadata[first].leader == other);
  BOOST_TEST(!cluster.listeners[active].live.contains(dead));
}

BOOST_AUTO_TEST_CASE(the_last_in_sync_stays_and_leads_again_when_it_is_back) {
  Cluster cluster(2);
  cluster.until_ready();
  const NodeId active = *cluster.active();
  const NodeId dead = active == n1 ? n2 : n1;
  cluster.create(Cluster::topic("t", {{dead}}));
  cluster.crash(dead);
  cluster.ensemble.until([&] { return cluster.state("t", 0)->leader == no_node; });
  BOOST_TEST((cluster.state("t", 0)->isr == std::vector<NodeId>{dead}));
  cluster.boot(dead);
  cluster.ensemble.until([&] { return cluster.state("t", 0)->leader == dead; });
  cluster.until_ready();
  cluster.world().run_for(seconds(1));
  BOOST_TEST(cluster.state("t", 0)->leader_epoch == LeaderEpoch{2});
  BOOST_TEST(cluster.listeners[dead].replicas[first].leader == dead);
}

BOOST_AUTO_TEST_CASE(an_unclean_election_takes_a_config_that_allows_it) {
  struct Said {
    std::string_view topic;  // Empty: nothing.
    bool brokers = false;
    bool allowed = false;
  };
  for (const auto& [said, by_brokers, allowed] :
       {Said{"false", true, false}, Said{"true", false, true}, Said{"", true, true},
        Said{"", false, false}}) {
    Cluster cluster(3);
    cluster.until_ready();
    const NodeId active = *cluster.active();
    const NodeId dead = active == n1 ? n2 : n1;
    NewTopic topic = Cluster::topic("t", {{dead, active}});
    if (!said.empty()) topic.configs.emplace_back("unclean.leader.election.enable", said);
    cluster.create(std::move(topic));
    if (by_brokers) {
      cluster.write(
          create_request("/config/brokers/<default>",
                         znodes::config_value({{"unclean.leader.election.enable", "true"}})));
    }
    // Only the one that is about to die is in sync.
    auto state = *cluster.state("t", 0);
    state.isr = {dead};
    cluster.write(set_request("/brokers/topics/t/partitions/0/state", znodes::state_value(state)));
    cluster.crash(dead);
    cluster.world().run_for(seconds(8));
    const auto after = *cluster.state("t", 0);
    BOOST_TEST(after.leader == (allowed ? active : no_node));
    BOOST_TEST(after.recovering == allowed);
    BOOST_TEST((after.isr == std::vector<NodeId>{allowed ? active : dead}));
  }
}

BOOST_AUTO_TEST_CASE(a_broker_that_comes_back_gets_everything_and_a_new_epoch) {
  Cluster cluster(4);
  cluster.until_ready();
  const NodeId active = *cluster.active();
  const NodeId bounced = active == n1 ? n2 : n1;
  cluster.create(Cluster::placed("t", 6, 3));
  const BrokerEpoch before = *cluster.epoch_of(bounced);
  cluster.crash(bounced);
  cluster.boot(bounced);
  cluster.ensemble.until([&] {
    const auto now = cluster.epoch_of(bounced);
    return now.has_value() && *now > before;
  });
  cluster.until_ready();
  cluster.world().run_for(seconds(1));
  BOOST_TEST(cluster.listeners[bounced].metadata.size() == 6u);
  BOOST_TEST(cluster.listeners[bounced].replicas.size() == 6u);
  for (int p = 0; p < 6; ++p) BOOST_TEST(cluster.state("t", p)->leader != bounced);
}

// The controller never saw it gone: the znode is another one when it looks.
BOOST_AUTO_TEST_CASE(a_registration_that_was_replaced_unseen_counts_as_death_and_birth) {
  Cluster cluster(5);
  cluster.until_ready();
  const NodeId active = *cluster.active();
  const NodeId bounced = active == n1 ? n2 : n1;
  cluster.create(Cluster::topic("t", {{bounced, active}}));
  const std::string path = znodes::broker(bounced);
  const std::string value = *cluster.znode(path);
  std::vector<KeeperRequest> parts;
  parts.push_back(delete_request(path));
  parts.push_back(create_request(path, value));
  cluster.write(multi_request(std::move(parts)));
  cluster.ensemble.until([&] { return cluster.state("t", 0)->leader == active; });
  BOOST_TEST((cluster.state("t", 0)->isr == std::vector<NodeId>{active}));
}

// It may have lost records that its followers have: in the same epoch it would write others there.
BOOST_AUTO_TEST_CASE(a_leader_that_came_back_while_nobody_decided_leads_in_an_epoch_of_its_own) {
  Cluster cluster(9);
  cluster.until_ready();
  const NodeId active = *cluster.active();
  const NodeId bounced = active == n1 ? n2 : n1;
  const NodeId follower = other_than(active, bounced);
  cluster.create(Cluster::topic(
      "t", {{bounced, follower}, {follower, bounced}, {bounced, active}, {bounced, active}}));
  // Whose other replica is away and was not in sync: there is nothing to take out of the ISR.
  auto alone = *cluster.state("t", 3);
  alone.isr = {bounced};
  cluster.write(set_request("/brokers/topics/t/partitions/3/state", znodes::state_value(alone)));
  const std::string path = znodes::broker(bounced);
  const std::string value = *cluster.znode(path);
  cluster.crash(active);
  std::vector<KeeperRequest> parts;
  parts.push_back(delete_request(path));
  parts.push_back(create_request(path, value));
  cluster.write(multi_request(std::move(parts)));
  cluster.listeners[bounced].replicas.clear();
  cluster.listeners[bounced].first_epochs.clear();
  cluster.until_active();
  cluster.ensemble.until([&] { return cluster.listeners[bounced].replicas.size() == 4u; });
  BOOST_TEST(cluster.state("t", 0)->leader == bounced);
  BOOST_TEST(cluster.state("t", 0)->leader_epoch == LeaderEpoch{1});
  BOOST_TEST(cluster.listeners[bounced].replicas[first].leader_epoch == LeaderEpoch{1});
  for (int p : {0, 2, 3}) {
    const TopicPartition led{"t", PartitionIndex{p}};
    BOOST_TEST(cluster.listeners[bounced].first_epochs[led] == LeaderEpoch{1});
  }
  // A follower that came back needs no election.
  BOOST_TEST(cluster.state("t", 1)->leader_epoch == LeaderEpoch{0});
  // Whoever comes later is told of what was elected.
  cluster.boot(active);
  cluster.ensemble.until([&] { return cluster.listeners[active].replicas.size() == 2u; });
  BOOST_TEST(cluster.listeners[active].replicas.begin()->second.leader == bounced);
}

// Whenever the next process registers: a state that is written later for its predecessor would hide
// from the next controller that the leader came back.
BOOST_AUTO_TEST_CASE(no_isr_is_written_for_a_leader_that_has_registered_anew) {
  int written = 0;
  int refused = 0;
  for (int turn = 0; turn < 60; ++turn) {
    Cluster cluster(11);
    cluster.until_ready();
    const NodeId active = *cluster.active();
    const NodeId bounced = active == n1 ? n2 : n1;
    const TopicOutcome topic = cluster.create(Cluster::topic("t", {{bounced, active}}));
    cluster.world().run_for(seconds(1));
    const std::string path = znodes::broker(bounced);
    const std::string state = znodes::state("t", PartitionIndex{0});
    const std::string value = *cluster.znode(path);
    AlterPartition request;
    request.broker = bounced;
    request.epoch = *cluster.epoch_of(bounced);
    request.partitions.push_back({topic.id, PartitionIndex{0}, LeaderEpoch{0}, 0, {bounced}});
    const auto asked =
        runtime::begin(cluster.world(), active,
                       cluster.at(active).alter_partition(request, cluster.deadline(active)));
    cluster.world().run_for(std::chrono::microseconds(100 * turn));
    std::vector<KeeperRequest> parts;
    parts.push_back(delete_request(path));
    parts.push_back(create_request(path, value));
    const std::int64_t before = cluster.stat(path).czxid;
    cluster.write(multi_request(std::move(parts)));
    const std::int64_t registered = cluster.stat(path).czxid;
    BOOST_REQUIRE(registered > before);
    // Until the leader is elected anew, its state is of its predecessor's time.
    const auto is_elected_anew = [&] {
      return znodes::decode_state(state, as_view(cluster.data(state)))->leader_epoch >
             LeaderEpoch{0};
    };
    while (!is_elected_anew()) {
      BOOST_REQUIRE_MESSAGE(cluster.stat(state).mzxid < registered, "turn " << turn);
      cluster.world().run_for(std::chrono::microseconds(20));
    }
    cluster.ensemble.until([&] { return asked->value.has_value(); });
    ++(asked->value->has_value() ? written : refused);
  }
  BOOST_TEST(written > 0);
  BOOST_TEST(refused > 0);
}

BOOST_AUTO_TEST_CASE(brokers_are_told_when_they_have_heard_of_all_there_is) {
  Cluster cluster(10);
  cluster.until_ready();
  const NodeId active = *cluster.active();
  cluster.create(Cluster::placed("t", 7, 2));
  for (auto& [id, listener] : cluster.listeners) {
    BOOST_TEST(listener.known_when_all.has_value());
    listener.known_when_all.reset();
  }
  cluster.crash(active);
  cluster.until_active();
  cluster.world().run_for(seconds(1));
  for (const NodeId id : {n1, n2, n3}) {
    if (id == active) continue;
    BOOST_REQUIRE(cluster.listeners[id].known_when_all.has_value());
    BOOST_TEST(*cluster.listeners[id].known_when_all == 7u);
  }
}

BOOST_AUTO_TEST_CASE(who_shuts_down_hands_over_what_it_leads_and_leaves_the_isrs) {
  for (const bool is_controller : {false, true}) {
    Cluster cluster(6);
    cluster.until_ready();
    const NodeId active = *cluster.active();
    const NodeId leaving = is_controller ? active : other_than(active, no_node);
    const NodeId other = other_than(active, leaving);
    cluster.create(Cluster::topic("t", {{leaving, other}, {other, leaving}}));
    cluster.create(Cluster::topic("alone", {{leaving}}));
    Heartbeat heartbeat;
    heartbeat.broker = leaving;
    heartbeat.epoch = *cluster.epoch_of(leaving);
    heartbeat.want_shutdown = true;
    const auto reply =
        cluster.run(leaving, cluster.at(leaving).heartbeat(heartbeat, cluster.deadline(leaving)));
    BOOST_REQUIRE(reply.has_value());
    BOOST_TEST(reply->may_shut_down);
    BOOST_TEST(cluster.state("t", 0)->leader == other);
    BOOST_TEST((cluster.state("t", 0)->isr == std::vector<NodeId>{other}));
    BOOST_TEST((cluster.state("t", 1)->isr == std::vector<NodeId>{other}));
    // What nobody else has stays where it is.
    BOOST_TEST(cluster.state("alone", 0)->leader == leaving);
  }
}

BOOST_AUTO_TEST_CASE(a_broker_that_is_deaf_holds_up_nobody_and_hears_all_when_it_listens) {
  Cluster cluster(7);
  cluster.until_ready();
  const NodeId active = *cluster.active();
  const NodeId deaf = active == n1 ? n2 : n1;
  cluster.listeners[deaf].is_deaf = true;
  const TopicOutcome made = cluster.create(Cluster::placed("t", 3, 3));
  BOOST_TEST((made.error == wire::KafkaError::none));
  cluster.world().run_for(seconds(1));
  BOOST_TEST(cluster.listeners[active].replicas.size() == 3u);
  BOOST_TEST(cluster.listeners[deaf].replicas.empty());
  cluster.listeners[deaf].is_deaf = false;
  cluster.world().run_for(seconds(1));
  BOOST_TEST(cluster.listeners[deaf].replicas.size() == 3u);
}

// Whatever the controller is at when it is told to stop.
BOOST_AUTO_TEST_CASE(a_controller_stops_also_while_a_broker_comes) {
  for (int turn = 0; turn < 40; ++turn) {
    Cluster cluster(11);
    cluster.until_ready();
    const NodeId active = *cluster.active();
    cluster.create(Cluster::placed("t", 1, 3));
    cluster.boot(NodeId{14});
    cluster.ensemble.until([&] { return cluster.has(znodes::broker(NodeId{14})); });
    cluster.world().run_for(std::chrono::microseconds(50 * turn));
    cluster.run(active, cluster.at(active).stop());
    BOOST_TEST(cluster.until_active() != active);
  }
}

BOOST_AUTO_TEST_CASE(a_word_to_an_earlier_process_is_refused_by_the_next) {
  Cluster cluster(8);
  cluster.until_ready();
  const NodeId active = *cluster.active();
  const NodeId other = active == n1 ? n2 : n1;
  // It knows a later registration than the controller does.
  cluster.listeners[other].epoch = cluster.epoch_of(other)->plus(1000);
  cluster.create(Cluster::placed("t", 1, 3));
  cluster.world().run_for(milliseconds(500));
  BOOST_TEST(cluster.listeners[other].refused > 0);
  BOOST_TEST(cluster.listeners[other].replicas.empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::controller
