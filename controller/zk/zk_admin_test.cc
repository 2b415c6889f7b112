// Administration on the zk plane.

#include <boost/test/unit_test.hpp>

#include "controller/zk/cluster_test.h"
#include "wire/kafka/alter_partition_reassignments.h"
#include "wire/kafka/create_partitions.h"
#include "wire/kafka/elect_leaders.h"
#include "wire/kafka/incremental_alter_configs.h"
#include "wire/kafka/list_partition_reassignments.h"

namespace qlab::controller {
namespace {

using std::chrono::seconds;
using wire::KafkaError;

constexpr NodeId n1{11};
constexpr NodeId n2{12};
constexpr NodeId n3{13};
const TopicPartition first{"t", PartitionIndex{0}};

template <class Request>
typename Request::Response ask(Cluster& cluster, Request request) {
  const NodeId leader = cluster.until_active();
  const auto answer = cluster.run(
      leader, administer<typename Request::Response>(cluster.at(leader), Request::api_key,
                                                     std::move(request), cluster.deadline(leader)));
  CHECK_MSG(answer.has_value(), answer.error().message());
  return *answer;
}

wire::AlterPartitionReassignmentsRequest move_first(std::optional<std::vector<NodeId>> target) {
  wire::AlterPartitionReassignmentsRequest request;
  auto& topic = request.topics.emplace_back();
  topic.name = "t";
  auto& partition = topic.partitions.emplace_back();
  partition.partition_index = PartitionIndex{0};
  partition.replicas = std::move(target);
  return request;
}

// The leader's word that these are in sync.
void report_isr(Cluster& cluster, TopicId topic, std::vector<NodeId> isr) {
  const NodeId active = cluster.until_active();
  cluster.world().run_for(seconds(1));
  const auto state = *cluster.state("t", 0);
  AlterPartition request;
  request.broker = state.leader;
  request.epoch = *cluster.epoch_of(state.leader);
  PartitionAlteration wanted;
  wanted.topic_id = topic;
  wanted.leader_epoch = state.leader_epoch;
  wanted.partition_epoch = cluster.listeners[state.leader].replicas[first].version;
  wanted.new_isr = std::move(isr);
  request.partitions.push_back(wanted);
  const auto outcomes =
      cluster.run(active, cluster.at(active).alter_partition(request, cluster.deadline(active)));
  BOOST_REQUIRE(outcomes.has_value());
  BOOST_REQUIRE((outcomes->front().error == KafkaError::none));
}

znodes::TopicValue topic_value(Cluster& cluster) {
  return *znodes::decode_topic("t", as_view(*cluster.znode("/brokers/topics/t")));
}

BOOST_AUTO_TEST_SUITE(controller_zk)

BOOST_AUTO_TEST_CASE(a_partition_has_moved_once_all_that_were_added_are_in_sync) {
  Cluster cluster(1);
  cluster.until_ready();
  const TopicOutcome topic = cluster.create(Cluster::topic("t", {{n1, n2}}));
  std::vector<NodeId> target{n3, n2};
  const auto begun = ask(cluster, move_first(target));
  BOOST_TEST((begun.responses.front().partitions.front().error_code == KafkaError::none));
  cluster.world().run_for(seconds(1));
  BOOST_TEST((topic_value(cluster).replicas[0] == std::vector<NodeId>{n3, n2, n1}));
  BOOST_TEST((topic_value(cluster).moves.front().adding == std::vector<NodeId>{n3}));
  BOOST_TEST(cluster.listeners[n3].replicas.contains(first));
  const auto listed = ask(cluster, wire::ListPartitionReassignmentsRequest{});
  BOOST_REQUIRE(listed.topics.size() == 1u);
  BOOST_TEST((listed.topics[0].partitions[0].removing_replicas == std::vector<NodeId>{n1}));
  report_isr(cluster, topic.id, {n1, n2, n3});
  cluster.world().run_for(seconds(1));
  BOOST_TEST((topic_value(cluster).replicas[0] == target));
  BOOST_TEST(topic_value(cluster).moves.empty());
  BOOST_TEST(cluster.state("t", 0)->leader == n3);
  BOOST_TEST((cluster.state("t", 0)->isr == std::vector<NodeId>{n2, n3}));
  BOOST_TEST(cluster.listeners[n1].deleted.contains(first));
  BOOST_TEST(ask(cluster, wire::ListPartitionReassignmentsRequest{}).topics.empty());
}

BOOST_AUTO_TEST_CASE(a_move_goes_on_under_the_next_controller) {
  Cluster cluster(2);
  cluster.until_ready();
  const NodeId active = *cluster.active();
  const NodeId a = active == n1 ? n2 : n1;
  const NodeId b = active == n3 || a == n3 ? n2 == a ? n1 : n2 : n3;
  const TopicOutcome topic = cluster.create(Cluster::topic("t", {{a}}));
  ask(cluster, move_first(std::vector<NodeId>{b}));
  cluster.crash(active);
  BOOST_TEST(cluster.until_active() != active);
  cluster.world().run_for(Cluster::session_timeout * 2);
  BOOST_REQUIRE(topic_value(cluster).moves.size() == 1u);
  report_isr(cluster, topic.id, {a, b});
  BOOST_TEST((topic_value(cluster).replicas[0] == std::vector<NodeId>{b}));
  BOOST_TEST(cluster.state("t", 0)->leader == b);
}

// The link breaks once the keeper has made that many of the move's writes. Of what it sent, any
// part may have come: in some worlds the answer is lost, the request is made again, and finds its
// own effect.
void move_as_the_link_breaks(std::uint64_t seed, int writes) {
  BOOST_TEST_CONTEXT("seed " << seed << ", after " << writes << " writes") {
    Cluster cluster(seed);
    cluster.until_ready();
    cluster.create(Cluster::topic("t", {{n1, n2}}));
    cluster.world().run_for(seconds(1));
    const NodeId active = *cluster.active();
    const std::int64_t before = cluster.zxid();
    const auto outcome =
        runtime::begin(cluster.world(), active,
                       administer<wire::AlterPartitionReassignmentsResponse>(
                           cluster.at(active), wire::ApiKey::alter_partition_reassignments,
                           move_first(std::vector<NodeId>{n1}), cluster.deadline(active)));
    cluster.ensemble.until([&] { return cluster.zxid() >= before + writes; });
    cluster.world().fabric().break_between(active, NodeId{1});
    cluster.ensemble.until([&] { return outcome->value.has_value(); });
    const auto& response = *outcome->value;
    BOOST_REQUIRE_MESSAGE(response.has_value(), response.error().message());
    BOOST_TEST((response->responses[0].partitions[0].error_code == KafkaError::none));
    BOOST_TEST((cluster.active() == active));
    cluster.world().run_for(seconds(1));
    BOOST_TEST((topic_value(cluster).replicas[0] == std::vector<NodeId>{n1}));
    BOOST_TEST(cluster.listeners[n2].deleted.contains(first));
    BOOST_TEST(cluster.listeners[n3].metadata[first].leader_epoch == LeaderEpoch{1});
  }
}

BOOST_AUTO_TEST_CASE(a_move_goes_on_when_the_answer_to_one_of_its_writes_is_lost) {
  for (std::uint64_t seed = 20; seed < 36; ++seed) {
    for (const int writes : {1, 2}) move_as_the_link_breaks(seed, writes);
  }
}

BOOST_AUTO_TEST_CASE(a_move_may_be_called_off_and_bad_targets_are_refused) {
  Cluster cluster(3);
  cluster.until_ready();
  cluster.create(Cluster::topic("t", {{n1, n2}}));
  const auto error_of = [&](std::optional<std::vector<NodeId>> target) {
    return ask(cluster, move_first(std::move(target)))
        .responses.front()
        .partitions.front()
        .error_code;
  };
  BOOST_TEST((error_of(std::nullopt) == KafkaError::no_reassignment_in_progress));
  BOOST_TEST((error_of(std::vector<NodeId>{n1, n1}) == KafkaError::invalid_replica_assignment));
  BOOST_TEST((error_of(std::vector<NodeId>{NodeId{77}}) == KafkaError::invalid_replica_assignment));
  BOOST_TEST((error_of(std::vector<NodeId>{n3}) == KafkaError::none));
  BOOST_TEST((error_of(std::nullopt) == KafkaError::none));
  cluster.world().run_for(seconds(1));
  BOOST_TEST((topic_value(cluster).replicas[0] == std::vector<NodeId>{n1, n2}));
  BOOST_TEST(cluster.listeners[n3].deleted.contains(first));
  BOOST_TEST(cluster.state("t", 0)->leader == n1);
}

// As Kafka's controller: in another order, or fewer, the same replicas are a target.
BOOST_AUTO_TEST_CASE(a_target_may_keep_a_replica_that_is_down_and_adds_none_that_is) {
  Cluster cluster(5);
  cluster.until_ready();
  const NodeId active = *cluster.active();
  const NodeId down = active == n3 ? n2 : n3;
  const NodeId up = active == n1 ? (down == n2 ? n3 : n2) : n1;
  cluster.create(Cluster::topic("t", {{down, active}}));
  cluster.crash(down);
  cluster.world().run_for(Cluster::session_timeout * 2);
  const auto error_of = [&](std::vector<NodeId> target) {
    return ask(cluster, move_first(std::move(target)))
        .responses.front()
        .partitions.front()
        .error_code;
  };
  std::vector<NodeId> turned{active, down};
  BOOST_TEST((error_of(turned) == KafkaError::none));
  BOOST_TEST((topic_value(cluster).replicas[0] == turned));
  BOOST_TEST((error_of({active}) == KafkaError::none));
  BOOST_TEST((topic_value(cluster).replicas[0] == std::vector<NodeId>{active}));
  BOOST_TEST((error_of({active, up}) == KafkaError::none));
  BOOST_TEST((error_of({active, down}) == KafkaError::invalid_replica_assignment));
}

BOOST_AUTO_TEST_CASE(a_topic_is_made_larger_and_never_smaller) {
  Cluster cluster(4);
  cluster.until_ready();
  cluster.create(Cluster::topic("t", {{n1, n2}}));
  const auto grow = [&](std::int32_t count) {
    wire::CreatePartitionsRequest request;
    auto& topic = request.topics.emplace_back();
    topic.name = "t";
    topic.count = count;
    return ask(cluster, std::move(request)).results.front().error_code;
  };
  BOOST_TEST((grow(4) == KafkaError::none));
  BOOST_TEST((grow(4) == KafkaError::invalid_partitions));
  BOOST_TEST((grow(100'000) == KafkaError::policy_violation));
  cluster.world().run_for(seconds(1));
  BOOST_TEST(topic_value(cluster).replicas.size() == 4u);
  BOOST_TEST(cluster.state("t", 3)->leader != no_node);
  BOOST_TEST(cluster.listeners[n3].metadata.size() == 4u);
}

BOOST_AUTO_TEST_CASE(preferred_leaders_are_elected_by_request) {
  Cluster cluster(5);
  cluster.until_ready();
  const NodeId active = *cluster.active();
  const NodeId preferred = active == n1 ? n2 : n1;
  const TopicOutcome topic = cluster.create(Cluster::topic("t", {{preferred, active}}));
  const auto elect = [&] {
    wire::ElectLeadersRequest request;
    auto& named = request.topic_partitions.emplace().emplace_back();
    named.topic = "t";
    named.partitions.push_back(PartitionIndex{0});
    return ask(cluster, std::move(request))
        .replica_election_results.front()
        .partition_result.front()
        .error_code;
  };
  BOOST_TEST((elect() == KafkaError::election_not_needed));
  cluster.crash(preferred);
  cluster.ensemble.until([&] { return cluster.state("t", 0)->leader == active; });
  BOOST_TEST((elect() == KafkaError::preferred_leader_not_available));
  cluster.boot(preferred);
  cluster.until_ready();
  report_isr(cluster, topic.id, {preferred, active});
  BOOST_TEST((elect() == KafkaError::none));
  BOOST_TEST(cluster.state("t", 0)->leader == preferred);
}

BOOST_AUTO_TEST_CASE(configs_are_changed_key_by_key_and_those_who_watch_are_told) {
  Cluster cluster(6);
  cluster.until_ready();
  cluster.create(Cluster::placed("t", 1, 1));
  const auto set = [&](const std::string& name, const std::string& key, const std::string& value) {
    wire::IncrementalAlterConfigsRequest request;
    auto& resource = request.resources.emplace_back();
    resource.resource_type = 2;
    resource.resource_name = name;
    auto& config = resource.configs.emplace_back();
    config.name = key;
    config.value = value;
    return ask(cluster, std::move(request)).responses.front().error_code;
  };
  BOOST_TEST((set("t", "min.insync.replicas", "2") == KafkaError::none));
  BOOST_TEST((set("t", "cleanup.policy", "compact") == KafkaError::none));
  BOOST_TEST((set("t", "min.insync.replicas", "many") == KafkaError::invalid_config));
  BOOST_TEST(
      (set("unknown", "min.insync.replicas", "2") == KafkaError::unknown_topic_or_partition));
  const metadata::Configs expected{{"cleanup.policy", "compact"}, {"min.insync.replicas", "2"}};
  BOOST_TEST(
      (*znodes::decode_config("c", as_view(*cluster.znode("/config/topics/t"))) == expected));
  const auto told = cluster.znode("/config/changes/config_change_0000000001");
  BOOST_REQUIRE(told.has_value());
  BOOST_TEST(*znodes::decode_config_change(as_view(*told)) == "topics/t");
}

BOOST_AUTO_TEST_CASE(changes_of_configs_that_everybody_has_read_are_forgotten) {
  Cluster cluster(7);
  cluster.until_ready();
  cluster.create(Cluster::placed("t", 1, 1));
  const auto change = [&](const std::string& value) {
    wire::IncrementalAlterConfigsRequest request;
    auto& resource = request.resources.emplace_back();
    resource.resource_type = 2;
    resource.resource_name = "t";
    auto& config = resource.configs.emplace_back();
    config.name = "min.insync.replicas";
    config.value = value;
    BOOST_TEST((ask(cluster, std::move(request)).responses.front().error_code == KafkaError::none));
  };
  change("2");
  change("3");
  cluster.world().run_for(std::chrono::minutes(14));
  change("4");
  BOOST_TEST(cluster.has("/config/changes/config_change_0000000000"));
  cluster.world().run_for(std::chrono::minutes(2));
  change("5");
  BOOST_TEST(!cluster.has("/config/changes/config_change_0000000000"));
  BOOST_TEST(!cluster.has("/config/changes/config_change_0000000001"));
  BOOST_TEST(cluster.has("/config/changes/config_change_0000000002"));
  BOOST_TEST(cluster.has("/config/changes/config_change_0000000003"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::controller
