// The controller dies after each single write of an operation, and its successor finishes it.

#include <boost/test/unit_test.hpp>

#include "controller/zk/cluster_test.h"

namespace qlab::controller {
namespace {

using std::chrono::seconds;
using wire::KafkaError;

constexpr NodeId n1{11};
constexpr NodeId n2{12};
constexpr NodeId n3{13};

// Begins `task` on the active controller and crashes that after `writes` more of the keeper's.
// False when the task ended before.
template <class T>
bool crash_after(Cluster& cluster, NodeId leader, Task<Result<T>> task, std::int64_t writes) {
  const std::int64_t before = cluster.zxid();
  const auto outcome = runtime::begin(cluster.world(), leader, std::move(task));
  cluster.ensemble.until(
      [&] { return cluster.zxid() >= before + writes || outcome->value.has_value(); });
  const bool ended = cluster.zxid() < before + writes;
  if (!ended) cluster.crash(leader);
  return !ended;
}

void no_faults(Cluster& cluster) {
  for (const auto& [id, listener] : cluster.listeners) {
    for (const std::string& fault : listener.faults) BOOST_ERROR(id << ": " << fault);
  }
}

// Each partition of topic `t` has a leader, and all brokers know it.
void is_whole(Cluster& cluster, int partitions) {
  for (int p = 0; p < partitions; ++p) {
    const auto state = cluster.state("t", p);
    BOOST_REQUIRE(state.has_value());
    BOOST_TEST(state->leader != no_node);
    const TopicPartition which{"t", PartitionIndex{p}};
    for (const NodeId id : {n1, n2, n3}) {
      BOOST_TEST(cluster.listeners[id].metadata[which].leader == state->leader);
      BOOST_TEST(cluster.listeners[id].replicas[which].leader_epoch == state->leader_epoch);
    }
  }
}

BOOST_AUTO_TEST_SUITE(controller_zk)

BOOST_AUTO_TEST_CASE(a_topic_whose_creation_was_cut_short_is_whole_or_not_there) {
  bool goes_on = true;
  int whole = 0;
  int absent = 0;
  for (std::int64_t writes = 1; goes_on && writes < 40; ++writes) {
    Cluster cluster(100);
    cluster.until_ready();
    const NodeId leader = *cluster.active();
    std::vector<NewTopic> topics(1, Cluster::topic("t", {{n1, n2, n3}, {n2, n3, n1}}));
    goes_on = crash_after(
        cluster, leader,
        cluster.at(leader).create_topics(std::move(topics), false, cluster.deadline(leader)),
        writes);
    if (!goes_on) break;
    cluster.boot(leader);
    cluster.until_active();
    cluster.ensemble.until([&] { return cluster.epoch_of(leader).has_value(); });
    cluster.until_ready();
    cluster.world().run_for(seconds(2));
    if (!cluster.znode("/brokers/topics/t").has_value()) {
      ++absent;
      BOOST_TEST((cluster.create(Cluster::placed("t", 1, 3)).error == KafkaError::none));
      continue;
    }
    ++whole;
    is_whole(cluster, 2);
    no_faults(cluster);
  }
  BOOST_TEST(!goes_on);
  BOOST_TEST(whole > 0);
  BOOST_TEST(absent > 0);
}

// It dies, or lives on while another is elected, when some of the partitions have their states.
BOOST_AUTO_TEST_CASE(partitions_that_a_controller_has_not_come_to_are_brought_to_life_by_the_next) {
  for (int reached = 0; reached < 22; ++reached) {
    const bool dies = reached % 2 == 0;
    Cluster cluster(150);
    cluster.until_ready();
    const NodeId leader = *cluster.active();
    const std::int32_t epoch = *cluster.at(leader).epoch();
    std::vector<NewTopic> topics(1, Cluster::placed("t", 27, 3));
    const auto asked = runtime::begin(
        cluster.world(), leader,
        cluster.at(leader).create_topics(std::move(topics), false, cluster.deadline(leader)));
    cluster.ensemble.until(
        [&] { return cluster.has(znodes::state("t", PartitionIndex{reached})); });
    BOOST_TEST(!cluster.has(znodes::state("t", PartitionIndex{26})));
    if (dies) {
      cluster.crash(leader);
      cluster.boot(leader);
    } else {
      cluster.write(delete_request(std::string(znodes::controller)));
    }
    cluster.ensemble.until([&] {
      const auto active = cluster.active();
      return active && *cluster.at(*active).epoch() > epoch;
    });
    cluster.until_ready();
    cluster.world().run_for(seconds(3));
    BOOST_TEST_CONTEXT("after partition " << reached) {
      is_whole(cluster, 27);
      no_faults(cluster);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_topic_whose_deletion_was_cut_short_is_deleted_and_never_back) {
  bool goes_on = true;
  int finished = 0;
  for (std::int64_t writes = 1; goes_on && writes < 60; ++writes) {
    Cluster cluster(200);
    cluster.until_ready();
    const NodeId leader = *cluster.active();
    cluster.create(Cluster::topic("t", {{n1, n2, n3}, {n2, n3, n1}}));
    cluster.create(Cluster::topic("kept", {{n2, n3, n1}}));
    cluster.world().run_for(seconds(1));
    const std::int64_t before = cluster.zxid();
    std::vector<std::string> names(1, "t");
    const auto asked = runtime::begin(
        cluster.world(), leader,
        cluster.at(leader).delete_topics(std::move(names), cluster.deadline(leader)));
    bool is_gone = false;
    cluster.ensemble.until([&] {
      is_gone = asked->value.has_value() && cluster.zxid() >= before + 1 &&
                !cluster.has("/admin/delete_topics/t") && !cluster.has("/brokers/topics/t");
      return is_gone || cluster.zxid() >= before + writes;
    });
    goes_on = cluster.zxid() < before + writes ? false : !is_gone;
    if (!goes_on) break;
    cluster.crash(leader);
    cluster.boot(leader);
    cluster.until_active();
    cluster.ensemble.until([&] { return cluster.epoch_of(leader).has_value(); });
    cluster.until_ready();
    cluster.ensemble.until([&] { return !cluster.znode("/admin/delete_topics/t").has_value(); });
    cluster.world().run_for(seconds(2));
    BOOST_TEST(!cluster.znode("/brokers/topics/t").has_value());
    for (const NodeId id : {n1, n2, n3}) {
      for (const auto& [which, told] : cluster.listeners[id].replicas) {
        BOOST_TEST(which.topic == "kept");
      }
      for (const auto& [which, told] : cluster.listeners[id].metadata) {
        BOOST_TEST(which.topic == "kept");
      }
    }
    BOOST_TEST(cluster.state("kept", 0)->leader != no_node);
    no_faults(cluster);
    ++finished;
  }
  BOOST_TEST(finished > 5);
}

BOOST_AUTO_TEST_CASE(a_failover_reads_everything_back_and_tells_everybody) {
  Cluster cluster(300);
  cluster.until_ready();
  for (int t = 0; t < 5; ++t) cluster.create(Cluster::placed(fmt::format("t{}", t), 5, 3));
  const NodeId leader = *cluster.active();
  cluster.crash(leader);
  const NodeId next = cluster.until_active();
  cluster.world().run_for(seconds(5));
  int led_by_dead = 0;
  for (int t = 0; t < 5; ++t) {
    for (int p = 0; p < 5; ++p) {
      const std::string name = fmt::format("t{}", t);
      const auto state = *cluster.state(name, p);
      if (state.leader == leader) ++led_by_dead;
      BOOST_TEST(state.isr.size() == 2u);
      const TopicPartition which{name, PartitionIndex{p}};
      BOOST_TEST(cluster.listeners[next].metadata[which].leader == state.leader);
      BOOST_TEST(cluster.listeners[next].controller_epoch == *cluster.at(next).epoch());
    }
  }
  BOOST_TEST(led_by_dead == 0);
  BOOST_TEST((cluster.create(Cluster::placed("after", 1, 2)).error == KafkaError::none));
  no_faults(cluster);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::controller
