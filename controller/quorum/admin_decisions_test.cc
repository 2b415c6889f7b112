#include "controller/quorum/admin_decisions.h"

#include <boost/test/unit_test.hpp>

#include "controller/quorum/testing_image.h"

namespace qlab::controller {
namespace {

using wire::KafkaError;

const NodeId one{1}, two{2}, three{3};

struct ThreeBrokers : TestingImage {
  ThreeBrokers() {
    for (std::int32_t id : {1, 2, 3}) bring_up(id);
  }

  KafkaError elect(std::int8_t type, std::string topic, std::int32_t partition_index = 0) {
    wire::ElectLeadersRequest request;
    request.election_type = type;
    request.topic_partitions.emplace();
    request.topic_partitions->push_back({std::move(topic), {PartitionIndex{partition_index}}});
    const auto decision = decide_elections(image, request, options);
    replay(decision.records);
    return decision.answer.replica_election_results.front().partition_result.front().error_code;
  }
  KafkaError reassign(std::string topic, std::optional<std::vector<NodeId>> replicas,
                      std::int32_t partition_index = 0) {
    wire::AlterPartitionReassignmentsRequest request;
    wire::AlterPartitionReassignmentsRequest::Topic wanted;
    wanted.name = std::move(topic);
    wanted.partitions.push_back({PartitionIndex{partition_index}, std::move(replicas)});
    request.topics.push_back(std::move(wanted));
    const auto decision = decide_reassignments(image, request, options);
    replay(decision.records);
    return decision.answer.responses.front().partitions.front().error_code;
  }
  KafkaError grow(std::string topic, std::int32_t count,
                  std::optional<std::vector<NodeId>> replicas = std::nullopt) {
    wire::CreatePartitionsRequest request;
    wire::CreatePartitionsRequest::Topic wanted;
    wanted.name = std::move(topic);
    wanted.count = count;
    if (replicas) wanted.assignments.emplace().push_back({std::move(*replicas)});
    request.topics.push_back(std::move(wanted));
    const auto decision = decide_growth(image, request, random);
    replay(decision.records);
    return decision.answer.results.front().error_code;
  }
  KafkaError configure(std::int8_t type, std::string name, std::string key, std::int8_t operation,
                       std::optional<std::string> value) {
    wire::IncrementalAlterConfigsRequest request;
    wire::IncrementalAlterConfigsRequest::Resource resource;
    resource.resource_type = type;
    resource.resource_name = std::move(name);
    resource.configs.push_back({std::move(key), operation, std::move(value)});
    request.resources.push_back(std::move(resource));
    auto decision = decide_configs(image, request);
    replay(decision.records);
    configured = std::move(decision.records);
    return decision.answer.responses.front().error_code;
  }
  void alter_isr(NodeId leader, std::vector<NodeId> isr) {
    AlterPartition request;
    request.broker = leader;
    const auto& now = partition("orders");
    request.partitions = {{image.topic("orders")->id, PartitionIndex{0}, now.leader_epoch,
                           now.partition_epoch, std::move(isr)}};
    replay(decide_alterations(image, request, options).records);
  }
  metadata::Records configured;  // By configure(), the last time.
};

BOOST_FIXTURE_TEST_SUITE(admin_decisions, ThreeBrokers)

BOOST_AUTO_TEST_CASE(the_preferred_leader_is_elected_when_it_is_in_sync) {
  create(assigned_topic("orders", {{one, two}}));
  BOOST_TEST((elect(0, "orders") == KafkaError::election_not_needed));
  fence(1);
  unfence(1);
  BOOST_TEST((elect(0, "orders") == KafkaError::preferred_leader_not_available));
  alter_isr(two, {two, one});
  BOOST_TEST((elect(0, "orders") == KafkaError::none));
  BOOST_TEST((partition("orders").leader == one));
  BOOST_TEST((elect(0, "orders", 7) == KafkaError::unknown_topic_or_partition));
  BOOST_TEST((elect(0, "nothing") == KafkaError::unknown_topic_or_partition));
}

BOOST_AUTO_TEST_CASE(an_unclean_election_is_for_a_partition_that_has_no_leader) {
  create(assigned_topic("orders", {{one, two}}));
  BOOST_TEST((elect(1, "orders") == KafkaError::election_not_needed));
  fence(2);
  fence(1);
  BOOST_TEST((elect(1, "orders") == KafkaError::eligible_leaders_not_available));
  unfence(2);
  BOOST_TEST((partition("orders").leader == no_node));
  BOOST_TEST((elect(1, "orders") == KafkaError::none));
  BOOST_TEST((partition("orders").leader == two));
  BOOST_TEST(partition("orders").recovering);
  wire::ElectLeadersRequest strange;
  strange.election_type = 5;
  BOOST_TEST(
      (decide_elections(image, strange, options).answer.error_code == KafkaError::invalid_request));
}

BOOST_AUTO_TEST_CASE(an_unclean_election_happens_by_itself_where_a_topic_allows_it) {
  NewTopic topic = assigned_topic("orders", {{one, two}});
  topic.configs = {{"unclean.leader.election.enable", "true"}};
  create(topic);
  fence(2);
  fence(1);
  unfence(2);
  BOOST_TEST((partition("orders").leader == two));
  BOOST_TEST(partition("orders").recovering);
}

BOOST_AUTO_TEST_CASE(an_election_of_all_partitions_comes_in_pieces_until_nothing_is_left) {
  create(topic_of("orders", 2500, 1));
  for (std::int32_t id : {1, 2, 3}) fence(id);
  for (std::int32_t id : {1, 2, 3}) unfence(id);
  BOOST_TEST(image.index().not_preferred.total == 0u);
  create(assigned_topic("moved", {{one, two}, {two, one}}));
  fence(1);
  unfence(1);
  BOOST_TEST((reassign("moved", std::vector{two, one}) == KafkaError::none));
  wire::ElectLeadersRequest all;
  std::size_t elected = 0;
  for (bool goes_on = true; goes_on;) {
    const auto decision = decide_elections(image, all, options);
    goes_on = !decision.records.empty();
    elected += decision.records.size();
    replay(decision.records);
  }
  BOOST_TEST(elected == 0u);  // Who does not lead is not in sync.
}

BOOST_AUTO_TEST_CASE(a_partition_is_moved_listed_and_done) {
  create(assigned_topic("orders", {{one, two}}));
  BOOST_TEST((reassign("orders", std::vector{three, two}) == KafkaError::none));
  auto listed = list_reassignments(image, {});
  BOOST_REQUIRE(listed.topics.size() == 1u);
  BOOST_TEST((listed.topics.front().partitions.front().adding_replicas == std::vector{three}));
  BOOST_TEST((listed.topics.front().partitions.front().removing_replicas == std::vector{one}));
  alter_isr(one, {one, two, three});
  BOOST_TEST((partition("orders").replicas == std::vector{three, two}));
  BOOST_TEST((partition("orders").leader == three));
  BOOST_TEST(list_reassignments(image, {}).topics.empty());
  BOOST_TEST((reassign("orders", std::nullopt) == KafkaError::no_reassignment_in_progress));
  BOOST_TEST(
      (reassign("orders", std::vector{NodeId{9}}) == KafkaError::invalid_replica_assignment));
  BOOST_TEST((reassign("orders", std::vector{one}, 3) == KafkaError::unknown_topic_or_partition));
}

BOOST_AUTO_TEST_CASE(a_topic_grows_and_never_shrinks) {
  create(assigned_topic("orders", {{one, two}}));
  BOOST_TEST((grow("orders", 4) == KafkaError::none));
  BOOST_TEST(image.topic("orders")->partitions.size() == 4u);
  BOOST_TEST(partition("orders", 3).replicas.size() == 2u);
  BOOST_TEST((grow("orders", 4) == KafkaError::invalid_partitions));
  BOOST_TEST((grow("orders", 3) == KafkaError::invalid_partitions));
  BOOST_TEST((grow("nothing", 3) == KafkaError::unknown_topic_or_partition));
  BOOST_TEST((grow("orders", 2'000'000'000) == KafkaError::policy_violation));
  BOOST_TEST((grow("orders", 6, std::vector{one, two}) == KafkaError::invalid_replica_assignment));
  BOOST_TEST((grow("orders", 5, std::vector{one}) == KafkaError::invalid_replica_assignment));
  BOOST_TEST((grow("orders", 5, std::vector{three, one}) == KafkaError::none));
  BOOST_TEST((partition("orders", 4).leader == three));
}

BOOST_AUTO_TEST_CASE(configs_are_changed_key_by_key_and_bad_ones_are_named) {
  create(assigned_topic("orders", {{one, two}}));
  BOOST_TEST((configure(2, "orders", "retention.ms", 0, "5") == KafkaError::none));
  BOOST_TEST((configure(2, "orders", "cleanup.policy", 2, "compact") == KafkaError::none));
  BOOST_TEST(image.topic("orders")->configs.at("cleanup.policy") == "delete,compact");
  BOOST_TEST((configure(2, "orders", "cleanup.policy", 3, "delete") == KafkaError::none));
  BOOST_TEST(image.topic("orders")->configs.at("cleanup.policy") == "compact");
  BOOST_TEST((configure(2, "orders", "retention.ms", 1, {}) == KafkaError::none));
  BOOST_TEST(!image.topic("orders")->configs.contains("retention.ms"));
  BOOST_TEST((configure(2, "orders", "retention.ms", 0, "x") == KafkaError::invalid_config));
  BOOST_TEST((configure(2, "orders", "retention.ms", 2, "5") == KafkaError::invalid_config));
  BOOST_TEST((configure(2, "orders", "retention.ms", 9, "5") == KafkaError::invalid_request));
  BOOST_TEST(
      (configure(2, "nothing", "retention.ms", 0, "5") == KafkaError::unknown_topic_or_partition));
  BOOST_TEST((configure(3, "orders", "retention.ms", 0, "5") == KafkaError::invalid_request));
  BOOST_TEST((configure(4, "", "min.insync.replicas", 0, "2") == KafkaError::none));
  BOOST_TEST(image.broker_configs(no_node).at("min.insync.replicas") == "2");
  BOOST_TEST((configure(4, "", "log.dir", 0, "/x") == KafkaError::invalid_config));
  BOOST_TEST((configure(4, "7", "min.insync.replicas", 0, "2") == KafkaError::invalid_request));
}

BOOST_AUTO_TEST_CASE(another_min_insync_empties_the_elrs_that_were_made_under_the_old_one) {
  NewTopic topic = assigned_topic("orders", {{one, two}});
  topic.configs = {{"min.insync.replicas", "2"}};
  create(topic);
  fence(2);
  BOOST_TEST((partition("orders").elr == std::vector{two}));
  BOOST_TEST((configure(2, "orders", "min.insync.replicas", 0, "1") == KafkaError::none));
  BOOST_TEST(partition("orders").elr.empty());
}

BOOST_AUTO_TEST_CASE(elrs_are_emptied_before_a_lower_bound_counts_wherever_the_entries_are_cut) {
  NewTopic topic = assigned_topic("orders", {{one, two}, {one, two}});
  topic.configs = {{"min.insync.replicas", "2"}};
  create(topic);
  fence(2);
  BOOST_TEST((configure(2, "orders", "min.insync.replicas", 0, "1") == KafkaError::none));
  BOOST_REQUIRE(configured.size() == 3u);
  for (std::size_t r = 0; r < configured.size(); ++r) {
    const bool is_config = std::holds_alternative<metadata::ConfigRecord>(configured[r]);
    BOOST_TEST(is_config == (r == 2));
  }
}

BOOST_AUTO_TEST_CASE(all_configs_are_replaced_by_those_that_are_named) {
  NewTopic topic = assigned_topic("orders", {{one, two}});
  topic.configs = {{"retention.ms", "5"}, {"segment.ms", "7"}};
  create(topic);
  wire::AlterConfigsRequest request;
  wire::AlterConfigsRequest::Resource resource;
  resource.resource_type = 2;
  resource.resource_name = "orders";
  resource.configs.push_back({"segment.ms", "8"});
  request.resources.push_back(resource);
  request.validate_only = true;
  BOOST_TEST(decide_configs(image, request).records.empty());
  request.validate_only = false;
  replay(decide_configs(image, request).records);
  const metadata::Configs expected{{"segment.ms", "8"}};
  BOOST_TEST((image.topic("orders")->configs == expected));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::controller
