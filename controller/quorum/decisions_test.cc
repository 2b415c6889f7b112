#include "controller/quorum/decisions.h"

#include <limits>

#include <boost/test/unit_test.hpp>

namespace qlab::controller {
namespace {

using wire::KafkaError;

Registration registration_of(std::int32_t id, std::uint64_t incarnation) {
  Registration registration;
  registration.broker = NodeId{id};
  registration.incarnation = Uuid{1, incarnation};
  registration.endpoint = {"localhost", 9092};
  return registration;
}

// An image that grows by decisions, as the controller's does.
struct Fixture {
  metadata::Image image;
  Prng random{5};
  ControllerOptions options;
  std::int64_t index = 0;

  void replay(const metadata::Records& records) {
    metadata::Delta delta;
    image = image.replay(records, LogIndex{++index}, delta);
  }
  void bring_up(std::int32_t id) {
    replay(decide_registration(image, registration_of(id, 1)).records);
    replay(decide_unfence(image, NodeId{id}));
  }
  TopicOutcome create(NewTopic topic) {
    auto decision = decide_topics(image, {std::move(topic)}, options, random);
    replay(decision.records);
    return decision.answer.front();
  }
  const metadata::Partition& partition(const std::string& topic) {
    return *image.topic(topic)->partitions.front();
  }
};

NewTopic topic_of(std::string name, std::int32_t partitions, std::int16_t factor) {
  NewTopic topic;
  topic.name = std::move(name);
  topic.partitions = partitions;
  topic.replication_factor = factor;
  return topic;
}

BOOST_FIXTURE_TEST_SUITE(decisions, Fixture)

BOOST_AUTO_TEST_CASE(the_same_incarnation_keeps_its_epoch_and_another_gets_a_new_one) {
  const auto first = decide_registration(image, registration_of(1, 1));
  replay(first.records);
  const auto again = decide_registration(image, registration_of(1, 1));
  BOOST_TEST(again.records.empty());
  BOOST_TEST((again.answer == first.answer));
  const auto restarted = decide_registration(image, registration_of(1, 2));
  BOOST_TEST((restarted.answer > first.answer));
}

BOOST_AUTO_TEST_CASE(a_restarted_leader_loses_its_leadership_before_it_registers_again) {
  for (std::int32_t id : {1, 2, 3}) bring_up(id);
  NewTopic topic = topic_of("orders", -1, -1);
  topic.assignment = {{NodeId{1}, NodeId{2}, NodeId{3}}};
  create(topic);
  BOOST_TEST((partition("orders").leader == NodeId{1}));

  replay(decide_registration(image, registration_of(1, 2)).records);
  BOOST_TEST((partition("orders").leader == NodeId{2}));
  BOOST_TEST((partition("orders").isr == std::vector<NodeId>{NodeId{2}, NodeId{3}}));
  BOOST_TEST(image.broker(NodeId{1})->fenced);
}

BOOST_AUTO_TEST_CASE(when_all_brokers_go_the_last_one_in_sync_leads_again_on_its_return) {
  for (std::int32_t id : {1, 2}) bring_up(id);
  NewTopic topic = topic_of("orders", -1, -1);
  topic.assignment = {{NodeId{1}, NodeId{2}}};
  create(topic);
  replay(decide_fence(image, NodeId{1}));
  replay(decide_fence(image, NodeId{2}));
  BOOST_TEST((partition("orders").leader == no_node));
  BOOST_TEST((partition("orders").isr == std::vector<NodeId>{NodeId{2}}));
  replay(decide_unfence(image, NodeId{1}));
  BOOST_TEST((partition("orders").leader == no_node));
  replay(decide_unfence(image, NodeId{2}));
  BOOST_TEST((partition("orders").leader == NodeId{2}));
}

BOOST_AUTO_TEST_CASE(a_broker_that_shuts_down_keeps_what_nobody_else_can_lead) {
  for (std::int32_t id : {1, 2}) bring_up(id);
  NewTopic shared = topic_of("shared", -1, -1);
  shared.assignment = {{NodeId{1}, NodeId{2}}};
  create(shared);
  NewTopic single = topic_of("single", -1, -1);
  single.assignment = {{NodeId{1}}};
  create(single);
  replay(decide_shutdown(image, NodeId{1}));
  BOOST_TEST((partition("shared").leader == NodeId{2}));
  BOOST_TEST((partition("single").leader == NodeId{1}));
  BOOST_TEST(decide_shutdown(image, NodeId{1}).empty());
}

BOOST_AUTO_TEST_CASE(each_bad_topic_gets_an_error_of_its_own_and_the_good_one_is_made) {
  for (std::int32_t id : {1, 2, 3}) bring_up(id);
  create(topic_of("there", 1, 1));
  NewTopic strange_config = topic_of("d", 1, 1);
  strange_config.configs = {{"compression.type", "zstd"}};
  NewTopic bad_value = topic_of("e", 1, 1);
  bad_value.configs = {{"min.insync.replicas", "0"}};
  NewTopic twice = topic_of("f", -1, -1);
  twice.assignment = {{NodeId{1}, NodeId{1}}};
  const auto decision =
      decide_topics(image,
                    {topic_of("a/b", 1, 1), topic_of("there", 1, 1), topic_of("b", 0, 1),
                     topic_of("c", 1, 4), strange_config, bad_value, twice,
                     topic_of("g", 10'000, 1), topic_of("good", 2, 3), topic_of("good", 2, 3)},
                    options, random);
  const std::vector<KafkaError> expected{KafkaError::invalid_topic_exception,
                                         KafkaError::topic_already_exists,
                                         KafkaError::invalid_partitions,
                                         KafkaError::invalid_replication_factor,
                                         KafkaError::invalid_config,
                                         KafkaError::invalid_config,
                                         KafkaError::invalid_replica_assignment,
                                         KafkaError::policy_violation,
                                         KafkaError::none,
                                         KafkaError::invalid_request};
  BOOST_REQUIRE_EQUAL(decision.answer.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    BOOST_TEST((decision.answer[i].error == expected[i]),
               decision.answer[i].name << " " << decision.answer[i].message);
    BOOST_TEST(decision.answer[i].message.empty() == (expected[i] == KafkaError::none));
  }
  BOOST_TEST(decision.records.size() == 3u);
}

BOOST_AUTO_TEST_CASE(
    an_isr_is_changed_only_by_its_leader_in_its_epoch_on_the_newest_partition_epoch) {
  for (std::int32_t id : {1, 2, 3}) bring_up(id);
  NewTopic topic = topic_of("orders", -1, -1);
  topic.assignment = {{NodeId{1}, NodeId{2}, NodeId{3}}};
  const TopicId id = create(topic).id;
  const auto ask = [&](NodeId who, std::int32_t epoch, std::int32_t partition_epoch,
                       std::vector<NodeId> isr) {
    AlterPartition request;
    request.broker = who;
    request.partitions = {
        {id, PartitionIndex{0}, LeaderEpoch{epoch}, partition_epoch, std::move(isr)}};
    return decide_alterations(image, request);
  };
  const std::vector<NodeId> shrunk{NodeId{1}, NodeId{2}};
  BOOST_TEST(
      (ask(NodeId{2}, 0, 0, shrunk).answer.front().error == KafkaError::fenced_leader_epoch));
  BOOST_TEST(
      (ask(NodeId{1}, 0, 7, shrunk).answer.front().error == KafkaError::invalid_update_version));
  BOOST_TEST(
      (ask(NodeId{1}, 0, 0, {NodeId{2}}).answer.front().error == KafkaError::invalid_request));
  BOOST_TEST((ask(NodeId{1}, 0, 0, {NodeId{1}, NodeId{9}}).answer.front().error ==
              KafkaError::invalid_request));
  const auto done = ask(NodeId{1}, 0, 0, shrunk);
  BOOST_TEST((done.answer.front().error == KafkaError::none));
  replay(done.records);
  BOOST_TEST((partition("orders").isr == shrunk));
  BOOST_TEST(partition("orders").partition_epoch == done.answer.front().partition_epoch);

  replay(decide_fence(image, NodeId{3}));
  const auto fenced = ask(NodeId{1}, 0, 1, {NodeId{1}, NodeId{2}, NodeId{3}});
  BOOST_TEST((fenced.answer.front().error == KafkaError::ineligible_replica));
}

BOOST_AUTO_TEST_CASE(producer_ids_are_given_out_once) {
  const auto first = decide_producer_ids(image);
  replay(first.records);
  const auto second = decide_producer_ids(image);
  BOOST_TEST(first.answer.count == producer_id_block);
  BOOST_TEST(second.answer.first - first.answer.first == producer_id_block);
}

BOOST_AUTO_TEST_CASE(a_number_of_partitions_that_no_request_may_make_is_refused_unplaced) {
  bring_up(1);
  const auto refused = create(topic_of("huge", std::numeric_limits<std::int32_t>::max(), 1));
  BOOST_TEST((refused.error == KafkaError::policy_violation));
  BOOST_TEST(image.topics().empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::controller
