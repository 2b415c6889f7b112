// What the zk controller keeps of the cluster.

#include "controller/zk/context.h"

#include <boost/test/unit_test.hpp>

namespace qlab::controller {
namespace {

constexpr NodeId n1{1};
constexpr NodeId n2{2};
constexpr NodeId n3{3};

znodes::TopicValue value_of(std::vector<std::vector<NodeId>> replicas) {
  znodes::TopicValue value;
  value.id = TopicId{1, replicas.size()};
  value.replicas = std::move(replicas);
  return value;
}

BOOST_AUTO_TEST_SUITE(controller_zk_context)

BOOST_AUTO_TEST_CASE(equal_lists_are_one) {
  NodeLists lists;
  BOOST_TEST(lists.number_of({}) == 0u);
  const auto a = lists.number_of({n1, n2});
  const auto b = lists.number_of({n2, n1});
  BOOST_TEST(a != b);
  BOOST_TEST(lists.number_of({n1, n2}) == a);
  BOOST_TEST((lists.at(b) == std::vector<NodeId>{n2, n1}));
}

BOOST_AUTO_TEST_CASE(a_partition_takes_little_memory) {
  BOOST_TEST(sizeof(ZkPartition) <= 32u);
}

BOOST_AUTO_TEST_CASE(replicas_that_stay_keep_their_states_when_a_list_grows) {
  Context context;
  ZkTopic& topic = context.add_topic("t", value_of({{n1}, {n2}}), 0);
  const PartitionRef first{&topic, PartitionIndex{0}};
  const PartitionRef second{&topic, PartitionIndex{1}};
  context.state_of({first, n1}) = ReplicaState::online;
  context.state_of({second, n2}) = ReplicaState::offline;
  context.set_replicas(second, {n3, n2, n1});
  BOOST_TEST((context.state_of({first, n1}) == ReplicaState::online));
  BOOST_TEST((context.state_of({second, n2}) == ReplicaState::offline));
  BOOST_TEST((context.state_of({second, n3}) == ReplicaState::non_existent));
  context.set_replicas(second, {n3});
  BOOST_TEST((context.state_of({second, n3}) == ReplicaState::non_existent));
  BOOST_TEST((context.state_of({first, n1}) == ReplicaState::online));
}

BOOST_AUTO_TEST_CASE(a_topic_that_grows_names_its_new_partitions) {
  Context context;
  ZkTopic& topic = context.add_topic("t", value_of({{n1}}), 0);
  context.state_of({{&topic, PartitionIndex{0}}, n1}) = ReplicaState::online;
  const auto added = context.extend(topic, value_of({{n1}, {n2, n1}, {n3, n1}}), 1);
  BOOST_REQUIRE(added.size() == 2u);
  BOOST_TEST(added[0].index == PartitionIndex{1});
  BOOST_TEST((context.state_of({added[1], n3}) == ReplicaState::non_existent));
  BOOST_TEST((context.state_of({{&topic, PartitionIndex{0}}, n1}) == ReplicaState::online));
  BOOST_TEST(context.partition_count() == 3u);
  context.remove_topic("t");
  BOOST_TEST(context.partition_count() == 0u);
  BOOST_TEST(context.names_bytes() == 0u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::controller
