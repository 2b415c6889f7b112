// What nodes with a zk controller show to clients, on whole nodes in a simulated world.

#include <map>

#include <boost/test/unit_test.hpp>

#include "broker/testing_cluster.h"
#include "wire/kafka/describe_configs.h"
#include "wire/kafka/elect_leaders.h"

namespace qlab::broker {
namespace {

using namespace testing;

constexpr NodeId one{1};
constexpr std::uint16_t keeper_port = 2181;
constexpr std::int8_t topic_resource = 2;
constexpr std::int8_t broker_resource = 4;

struct Fixture {
  Fixture() { set_log_level(LogLevel::error); }
  ~Fixture() { set_log_level(LogLevel::info); }
};

std::string zk_config(NodeId id) {
  return fmt::format("plane=zk\nkeeper.listener={}:{}\nkeeper.connect={}:{}\n",
                     SimulatedNode::host_name(id), keeper_port, SimulatedNode::host_name(one),
                     keeper_port);
}

// The values of a resource as a broker tells them, each with its source.
std::map<std::string, std::pair<std::string, int>> configs(Cluster& cluster, NodeId asked,
                                                           std::int8_t type, std::string name) {
  wire::DescribeConfigsRequest request;
  auto& resource = request.resources.emplace_back();
  resource.resource_type = type;
  resource.resource_name = std::move(name);
  const auto answer = cluster.must(asked, request, 4);
  const auto& result = answer.message.results.at(0);
  BOOST_REQUIRE_MESSAGE(result.error_code == KafkaError::none, name_of(result.error_code));
  std::map<std::string, std::pair<std::string, int>> values;
  for (const auto& config : result.configs) {
    values[config.name] = {config.value.value_or(""), config.config_source};
  }
  return values;
}

// As the node knows it, without a word to it.
NodeId leader_at(Cluster& cluster, NodeId node) {
  const metadata::TopicPtr known = cluster.node(node).image()->topic(topic);
  return known == nullptr ? no_node : known->partitions[0]->leader;
}

// Of one of ZooKeeper's words, all that the keeper answers.
Task<Result<std::string>> ask_keeper(runtime::Runtime& runtime, std::string word) {
  const runtime::Endpoint keeper{SimulatedNode::host_name(one), keeper_port};
  CO_TRY(const auto stream, co_await runtime.network().connect(keeper, seconds(1)));
  const std::vector<ByteView> pieces(1, as_view(word));
  CO_TRY_VOID(co_await stream->write(pieces));
  std::string text;
  Bytes buffer(4096);
  for (;;) {
    const auto got = co_await stream->read_some(buffer);
    if (!got || *got == 0) co_return text;
    text += as_text(ByteView(buffer).first(*got));
  }
}

BOOST_FIXTURE_TEST_SUITE(zk_plane, Fixture)

BOOST_AUTO_TEST_CASE(any_broker_tells_the_configs_of_any_topic) {
  Cluster cluster(1, 3, zk_config);
  wire::CreateTopicsRequest request;
  auto& wanted = request.topics.emplace_back();
  wanted.name = topic;
  auto& assignment = wanted.assignments.emplace_back();
  assignment.broker_ids.push_back(one);
  wanted.num_partitions = -1;
  wanted.replication_factor = -1;
  wanted.configs.push_back({"retention.ms", "4711"});
  const auto made = cluster.must(NodeId{2}, request, 5);
  BOOST_REQUIRE_MESSAGE(made.message.topics.at(0).error_code == KafkaError::none,
                        name_of(made.message.topics.at(0).error_code));
  for (const NodeId asked : {one, NodeId{2}, NodeId{3}}) {
    cluster.wait("a broker to know the topic",
                 [&] { return cluster.partition(asked).leader_id == one; });
    const auto values = configs(cluster, asked, topic_resource, topic);
    BOOST_TEST(values.at("retention.ms").first == "4711", "at broker " << asked.value());
    BOOST_TEST(values.at("retention.ms").second == 1);
  }
}

BOOST_AUTO_TEST_CASE(a_broker_shows_its_session_with_the_keeper_by_the_keepers_key) {
  Cluster cluster(2, 1,
                  [](NodeId id) { return zk_config(id) + "zookeeper.session.timeout.ms=12000\n"; });
  const auto values = configs(cluster, one, broker_resource, "1");
  BOOST_TEST(values.at("zookeeper.session.timeout.ms").first == "12000");
  BOOST_TEST(!values.contains("broker.session.timeout.ms"));
}

BOOST_AUTO_TEST_CASE(who_is_told_that_a_leader_was_elected_finds_it_at_the_broker_that_said_so) {
  Cluster cluster(4, 3, [](NodeId id) {
    return zk_config(id) +
           "zookeeper.session.timeout.ms=2000\nkeeper.tick.ms=200\n"
           "broker.heartbeat.interval.ms=400\n";
  });
  const NodeId preferred{2};
  wire::CreateTopicsRequest request;
  auto& wanted = request.topics.emplace_back();
  wanted.name = topic;
  wanted.assignments.emplace_back().broker_ids = {preferred, one};
  wanted.num_partitions = -1;
  wanted.replication_factor = -1;
  BOOST_REQUIRE(
      (cluster.must(one, request, 5).message.topics.at(0).error_code == KafkaError::none));
  cluster.crash(preferred);
  cluster.wait("another leader", [&] { return leader_at(cluster, one) == one; });
  cluster.boot(preferred);
  cluster.wait_ready(preferred);
  cluster.wait("both to be in sync", [&] {
    const auto known = cluster.node(preferred).image()->topic(topic);
    return known != nullptr && known->partitions[0]->isr.size() == 2 &&
           leader_at(cluster, preferred) == one;
  });
  wire::ElectLeadersRequest election;
  election.timeout_ms = 10'000;
  auto& chosen = election.topic_partitions.emplace().emplace_back();
  chosen.topic = topic;
  chosen.partitions.push_back(PartitionIndex{0});
  const auto answer = cluster.must(preferred, election, 2);
  const auto& result = answer.message.replica_election_results.at(0).partition_result.at(0);
  BOOST_REQUIRE_MESSAGE(result.error_code == KafkaError::none, name_of(result.error_code));
  BOOST_TEST(leader_at(cluster, preferred) == preferred);
}

BOOST_AUTO_TEST_CASE(a_node_has_one_session_with_the_keeper) {
  Cluster cluster(3, 3, zk_config);
  cluster.create_topic(one, 3);
  const auto told =
      runtime::run(cluster.world(), client, ask_keeper(cluster.world().node(client), "mntr"));
  BOOST_REQUIRE_MESSAGE(told.has_value(), runtime::why(told));
  BOOST_TEST(told->find("zk_global_sessions\t3\n") != std::string::npos, *told);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::broker
