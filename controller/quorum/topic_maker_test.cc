#include "controller/quorum/topic_maker.h"

#include <limits>

#include <boost/test/unit_test.hpp>

#include "controller/quorum/testing_image.h"

namespace qlab::controller {
namespace {

using wire::KafkaError;

BOOST_FIXTURE_TEST_SUITE(topic_maker, TestingImage)

BOOST_AUTO_TEST_CASE(each_bad_topic_gets_an_error_of_its_own_and_the_good_one_is_made) {
  for (std::int32_t id : {1, 2, 3}) bring_up(id);
  create(topic_of("there", 1, 1));
  NewTopic strange_config = topic_of("d", 1, 1);
  strange_config.configs = {{"compression.type", "zstd"}};
  NewTopic bad_value = topic_of("e", 1, 1);
  bad_value.configs = {{"min.insync.replicas", "0"}};
  const std::int32_t most = std::numeric_limits<std::int32_t>::max();
  const auto outcomes = create(std::vector{
      topic_of("a/b", 1, 1), topic_of("there", 1, 1), topic_of("b", 0, 1), topic_of("c", 1, 4),
      strange_config, bad_value, assigned_topic("f", {{NodeId{1}, NodeId{1}}}),
      topic_of("g", most, 1), assigned_topic("h", {{NodeId{9}}}), topic_of("i", -2, 1),
      topic_of("good", 2, 3), topic_of("good", 2, 3)});
  const std::vector<KafkaError> expected{KafkaError::invalid_topic_exception,
                                         KafkaError::topic_already_exists,
                                         KafkaError::invalid_partitions,
                                         KafkaError::invalid_replication_factor,
                                         KafkaError::invalid_config,
                                         KafkaError::invalid_config,
                                         KafkaError::invalid_replica_assignment,
                                         KafkaError::policy_violation,
                                         KafkaError::invalid_replica_assignment,
                                         KafkaError::invalid_partitions,
                                         KafkaError::none,
                                         KafkaError::invalid_request};
  BOOST_REQUIRE_EQUAL(outcomes.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    BOOST_TEST((outcomes[i].error == expected[i]), outcomes[i].name << " " << outcomes[i].message);
    BOOST_TEST(outcomes[i].message.empty() == (expected[i] == KafkaError::none));
  }
  BOOST_TEST(image.topics().size() == 2u);
  BOOST_TEST(image.forming().empty());
  BOOST_TEST(image.topic("good")->partitions.size() == 2u);
}

BOOST_AUTO_TEST_CASE(a_topic_of_any_size_comes_in_entries_of_a_bounded_size_and_appears_at_once) {
  for (std::int32_t id : {1, 2, 3}) bring_up(id);
  TopicMaker maker({topic_of("small", 1, 1), topic_of("large", 3000, 3)}, options);
  int entries = 0;
  while (!maker.done()) {
    BOOST_TEST((image.topic("large") == nullptr));
    const auto records = maker.next(image, records_per_entry_max, random);
    BOOST_TEST(records.size() <= records_per_entry_max);
    replay(records);
    ++entries;
  }
  BOOST_TEST(entries == 9);  // Of a thousand replicas each.
  BOOST_TEST(image.topic("large")->partitions.size() == 3000u);
  BOOST_TEST(maker.take_outcomes().back().partitions == 3000);
}

BOOST_AUTO_TEST_CASE(what_a_lost_controller_had_begun_is_removed_and_may_be_made_again) {
  bring_up(1);
  TopicMaker maker({topic_of("large", 3000, 1)}, options);
  replay(maker.next(image, records_per_entry_max, random));
  BOOST_TEST(image.forming().size() == 1u);
  BOOST_TEST((create(topic_of("large", 1, 1)).error == KafkaError::topic_already_exists));
  replay(decide_cleanup(image));
  BOOST_TEST(image.forming().empty());
  BOOST_TEST((create(topic_of("large", 1, 1)).error == KafkaError::none));
  BOOST_TEST(image.index().led.at(NodeId{1}).total == 1u);
}

BOOST_AUTO_TEST_CASE(a_topic_that_is_forming_loses_its_leaders_as_others_do) {
  for (std::int32_t id : {1, 2}) bring_up(id);
  TopicMaker maker({topic_of("large", 1500, 2)}, options);
  replay(maker.next(image, records_per_entry_max, random));
  fence(1);
  while (!maker.done()) replay(maker.next(image, records_per_entry_max, random));
  BOOST_TEST(image.index().led.at(NodeId{2}).total == 1500u);
}

BOOST_AUTO_TEST_CASE(a_partition_whose_brokers_are_all_away_has_no_leader) {
  bring_up(1);
  bring_up(2);
  fence(2);
  create(assigned_topic("orders", {{NodeId{2}}}));
  BOOST_TEST((partition("orders").leader == no_node));
  BOOST_TEST((partition("orders").isr == std::vector<NodeId>{NodeId{2}}));
  unfence(2);
  BOOST_TEST((partition("orders").leader == NodeId{2}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::controller
