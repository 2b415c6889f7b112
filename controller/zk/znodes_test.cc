// Kafka's values: ours are read by Kafka's names, and what others wrote is never believed blindly.

#include "controller/zk/znodes.h"

#include <boost/test/unit_test.hpp>

namespace qlab::controller {
namespace {

using std::chrono::milliseconds;

constexpr NodeId n1{1};
constexpr NodeId n2{2};
constexpr NodeId n3{3};

BOOST_AUTO_TEST_SUITE(controller_znodes)

BOOST_AUTO_TEST_CASE(a_partition_state_reads_as_kafka_writes_it) {
  const std::string kafkas =
      R"({"controller_epoch":7,"leader":1,"version":1,"leader_epoch":4,"isr":[1,3]})";
  const auto state = znodes::decode_state("s", as_view(kafkas));
  BOOST_REQUIRE(state.has_value());
  BOOST_TEST(state->leader == n1);
  BOOST_TEST(state->leader_epoch == LeaderEpoch{4});
  BOOST_TEST(state->controller_epoch == 7);
  BOOST_TEST((state->isr == std::vector<NodeId>{n1, n3}));
  BOOST_TEST(znodes::state_value(*state) == kafkas);
}

BOOST_AUTO_TEST_CASE(a_leader_that_recovers_says_so) {
  znodes::StateValue state;
  state.recovering = true;
  const auto again = znodes::decode_state("s", as_view(znodes::state_value(state)));
  BOOST_REQUIRE(again.has_value());
  BOOST_TEST(again->recovering);
}

BOOST_AUTO_TEST_CASE(a_topic_reads_as_kafka_writes_it) {
  const std::string kafkas =
      R"({"removing_replicas":{"1":[3]},"partitions":{"0":[1,2],"1":[2,1,3]},)"
      R"("topic_id":"AAAAAAAAAAEAAAAAAAAAAg","adding_replicas":{"1":[1]},"version":3})";
  const auto topic = znodes::decode_topic("t", as_view(kafkas));
  BOOST_REQUIRE(topic.has_value());
  BOOST_TEST((topic->id == TopicId{1, 2}));
  BOOST_TEST((topic->replicas == std::vector<std::vector<NodeId>>{{n1, n2}, {n2, n1, n3}}));
  BOOST_REQUIRE(topic->moves.size() == 1);
  BOOST_TEST((topic->moves[0].adding == std::vector<NodeId>{n1}));
  BOOST_TEST((topic->moves[0].removing == std::vector<NodeId>{n3}));
  BOOST_TEST(znodes::topic_value(*topic) == kafkas);
}

BOOST_AUTO_TEST_CASE(more_than_ten_partitions_keep_their_order) {
  znodes::TopicValue topic;
  for (int p = 0; p < 25; ++p) topic.replicas.push_back({NodeId{p}});
  const auto again = znodes::decode_topic("t", as_view(znodes::topic_value(topic)));
  BOOST_REQUIRE(again.has_value());
  BOOST_TEST((again->replicas == topic.replicas));
}

BOOST_AUTO_TEST_CASE(brokers_configs_and_producer_ids_come_back_as_they_were) {
  const auto broker = znodes::decode_broker(
      "b", as_view(znodes::broker_value({"a\"b", 9092, ""}, milliseconds(5))));
  BOOST_REQUIRE(broker.has_value());
  BOOST_TEST(broker->host == "a\"b");
  BOOST_TEST(broker->port == 9092);
  BOOST_TEST(broker->rack == "");
  const auto in_rack = znodes::decode_broker(
      "b", as_view(znodes::broker_value({"a", 9092, "r\"1"}, milliseconds(5))));
  BOOST_REQUIRE(in_rack.has_value());
  BOOST_TEST(in_rack->rack == "r\"1");
  // What is no text is made one.
  const auto odd =
      znodes::decode_broker("b", as_view(znodes::broker_value({"a", 1, "r\xff"}, milliseconds(5))));
  BOOST_REQUIRE(odd.has_value());
  BOOST_TEST(odd->rack == "r\xef\xbf\xbd");
  const metadata::Configs configs{{"cleanup.policy", "compact"}};
  BOOST_TEST((*znodes::decode_config("c", as_view(znodes::config_value(configs))) == configs));
  BOOST_TEST(znodes::config_value({}) == R"({"version":1,"config":{}})");
  const auto block =
      znodes::decode_producer_ids(as_view(znodes::producer_ids_value({n2, 1000, 1999})));
  BOOST_REQUIRE(block.has_value());
  BOOST_TEST(block->last == 1999);
  const auto controller =
      znodes::decode_controller(as_view(znodes::controller_value(n3, milliseconds(5))));
  BOOST_TEST((*controller == n3));
}

BOOST_AUTO_TEST_CASE(garbage_is_an_error_that_names_the_znode) {
  for (const std::string_view value :
       {"", "[]", "{", R"({"leader":"1"})", R"({"leader":1})", R"({"leader":1e99})",
        R"({"controller_epoch":1,"leader":1,"leader_epoch":4,"isr":[1,-3]})",
        R"({"controller_epoch":1,"leader":1,"leader_epoch":4,"isr":{}})"}) {
    const auto state = znodes::decode_state("/x/state", as_view(value));
    BOOST_REQUIRE(!state.has_value());
    BOOST_TEST((state.error().code == Errc::corrupt));
    BOOST_TEST(state.error().context.find("/x/state") != std::string::npos);
  }
  for (const std::string_view value :
       {R"({"topic_id":"short","partitions":{"0":[1]}})",
        R"({"topic_id":"AAAAAAAAAAEAAAAAAAAAAg","partitions":{}})",
        R"({"topic_id":"AAAAAAAAAAEAAAAAAAAAAg","partitions":{"1":[1]}})",
        R"({"topic_id":"AAAAAAAAAAEAAAAAAAAAAg","partitions":{"0":[]}})",
        R"({"topic_id":"AAAAAAAAAAEAAAAAAAAAAg","partitions":{"x":[1]}})"}) {
    BOOST_TEST(!znodes::decode_topic("/t", as_view(value)).has_value());
  }
  BOOST_TEST(!znodes::decode_number("/n", as_view("-1")).has_value());
  BOOST_TEST(!znodes::decode_number("/n", as_view("1x")).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::controller
