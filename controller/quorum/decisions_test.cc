#include "controller/quorum/decisions.h"

#include <boost/test/unit_test.hpp>

#include "controller/quorum/testing_image.h"
#include "metadata/snapshot.h"

namespace qlab::controller {
namespace {

using wire::KafkaError;

BOOST_FIXTURE_TEST_SUITE(decisions, TestingImage)

BOOST_AUTO_TEST_CASE(the_same_incarnation_keeps_its_epoch_and_another_gets_a_new_one) {
  const auto first = decide_registration(image, registration_of(1, 1), false);
  replay(first->records);
  const auto again = decide_registration(image, registration_of(1, 1), true);
  BOOST_TEST(again->records.empty());
  BOOST_TEST((again->answer == first->answer));
  const auto restarted = decide_registration(image, registration_of(1, 2), true);
  BOOST_TEST((restarted->answer > first->answer));
}

BOOST_AUTO_TEST_CASE(a_second_process_with_an_id_is_refused_while_the_first_is_heard_of) {
  bring_up(1);
  Registration other = registration_of(1, 2);
  other.directory = DirectoryId{9, 9};
  const auto refused = decide_registration(image, other, true);
  BOOST_REQUIRE(!refused.has_value());
  BOOST_TEST((refused.error().code == Errc::exists));
  BOOST_TEST(decide_registration(image, other, false).has_value());
}

BOOST_AUTO_TEST_CASE(a_restarted_leader_loses_its_leadership_before_it_registers_again) {
  for (std::int32_t id : {1, 2, 3}) bring_up(id);
  NewTopic topic = topic_of("orders", -1, -1);
  topic.assignment = {{NodeId{1}, NodeId{2}, NodeId{3}}};
  create(topic);
  BOOST_TEST((partition("orders").leader == NodeId{1}));

  restart(1, 2);
  BOOST_TEST((partition("orders").leader == NodeId{2}));
  BOOST_TEST((partition("orders").isr == std::vector<NodeId>{NodeId{2}, NodeId{3}}));
  BOOST_TEST(image.broker(NodeId{1})->fenced);
}

BOOST_AUTO_TEST_CASE(a_process_has_kept_its_log_when_the_one_before_it_stopped_in_order) {
  bring_up(1);
  Registration next = registration_of(1, 2);
  BOOST_TEST(!has_kept_log(image, next));
  next.previous_epoch = image.broker(NodeId{1})->epoch;
  BOOST_TEST(has_kept_log(image, next));
  next.directory = DirectoryId{9, 9};
  BOOST_TEST(!has_kept_log(image, next), "another disk");
  next = registration_of(1, 2);
  next.previous_epoch = BrokerEpoch{image.broker(NodeId{1})->epoch.value() - 1};
  BOOST_TEST(!has_kept_log(image, next), "a process in between may have lost something");
}

BOOST_AUTO_TEST_CASE(a_broker_that_kept_its_log_stays_eligible_and_one_that_may_not_have_does_not) {
  for (const bool kept_log : {true, false}) {
    image = {};
    for (std::int32_t id : {1, 2}) bring_up(id);
    NewTopic topic = topic_of("orders", -1, -1);
    topic.assignment = {{NodeId{1}, NodeId{2}}};
    topic.configs = {{"min.insync.replicas", "2"}};
    create(topic);
    fence(1);
    BOOST_REQUIRE((partition("orders").elr == std::vector<NodeId>{NodeId{1}}));
    carry_out(decide_farewell(image, NodeId{1}, options, kept_log));
    BOOST_TEST(partition("orders").elr.empty() == !kept_log);
  }
}

BOOST_AUTO_TEST_CASE(when_all_brokers_go_the_last_one_in_sync_leads_again_on_its_return) {
  for (std::int32_t id : {1, 2}) bring_up(id);
  NewTopic topic = topic_of("orders", -1, -1);
  topic.assignment = {{NodeId{1}, NodeId{2}}};
  create(topic);
  fence(1);
  fence(2);
  BOOST_TEST((partition("orders").leader == no_node));
  BOOST_TEST((partition("orders").isr == std::vector<NodeId>{NodeId{2}}));
  unfence(1);
  BOOST_TEST((partition("orders").leader == no_node));
  unfence(2);
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
  carry_out(decide_shutdown(image, NodeId{1}, options));
  BOOST_TEST((partition("shared").leader == NodeId{2}));
  BOOST_TEST((partition("single").leader == NodeId{1}));
  const auto again = decide_shutdown(image, NodeId{1}, options);
  BOOST_TEST(again.records.empty());
  BOOST_TEST(again.rest.done());
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
    return decide_alterations(image, request, options);
  };
  const std::vector<NodeId> shrunk{NodeId{1}, NodeId{2}};
  BOOST_TEST((ask(NodeId{2}, 0, 0, shrunk).answer.front().error == KafkaError::invalid_request));
  // Who knows more has heard of a later controller.
  BOOST_TEST((ask(NodeId{1}, 1, 0, shrunk).answer.front().error == KafkaError::not_controller));
  BOOST_TEST((ask(NodeId{1}, 0, 7, shrunk).answer.front().error == KafkaError::not_controller));
  BOOST_TEST(
      (ask(NodeId{1}, 0, 0, {NodeId{2}}).answer.front().error == KafkaError::invalid_request));
  BOOST_TEST((ask(NodeId{1}, 0, 0, {NodeId{1}, NodeId{9}}).answer.front().error ==
              KafkaError::invalid_request));
  const auto done = ask(NodeId{1}, 0, 0, shrunk);
  BOOST_TEST((done.answer.front().error == KafkaError::none));
  replay(done.records);
  BOOST_TEST((partition("orders").isr == shrunk));
  BOOST_TEST(partition("orders").partition_epoch == done.answer.front().partition_epoch);

  BOOST_TEST(
      (ask(NodeId{1}, 0, 0, shrunk).answer.front().error == KafkaError::invalid_update_version));

  fence(3);
  const auto fenced = ask(NodeId{1}, 0, 1, {NodeId{1}, NodeId{2}, NodeId{3}});
  BOOST_TEST((fenced.answer.front().error == KafkaError::ineligible_replica));
}

BOOST_AUTO_TEST_CASE(a_topic_that_is_to_be_deleted_twice_by_one_request_is_refused_once) {
  for (std::int32_t id : {1, 2, 3}) bring_up(id);
  create(topic_of("orders", 1, 3));
  create(topic_of("other", 1, 3));
  const auto decision = decide_removal(image, {"orders", "other", "orders", "none"});
  BOOST_REQUIRE(decision.answer.size() == 3u);
  BOOST_TEST((decision.answer[0].error == KafkaError::invalid_request));
  BOOST_TEST((decision.answer[1].error == KafkaError::none));
  BOOST_TEST((decision.answer[2].error == KafkaError::unknown_topic_or_partition));
  BOOST_TEST(decision.records.size() == 1u);
}

BOOST_AUTO_TEST_CASE(producer_ids_are_given_out_once) {
  const auto first = decide_producer_ids(image);
  replay(first.records);
  const auto second = decide_producer_ids(image);
  BOOST_TEST(first.answer.count == producer_id_block);
  BOOST_TEST(second.answer.first - first.answer.first == producer_id_block);
}

BOOST_AUTO_TEST_CASE(a_replica_that_restarted_since_its_leader_heard_of_it_does_not_join_the_isr) {
  for (std::int32_t id : {1, 2}) bring_up(id);
  const TopicId id = create(assigned_topic("orders", {{NodeId{1}, NodeId{2}}})).id;
  const BrokerEpoch old_epoch = image.broker(NodeId{2})->epoch;
  restart(2, 2);
  unfence(2);
  AlterPartition request;
  request.broker = NodeId{1};
  PartitionAlteration join{id,
                           PartitionIndex{0},
                           partition("orders").leader_epoch,
                           partition("orders").partition_epoch,
                           {NodeId{1}, NodeId{2}}};
  join.isr_epochs = {image.broker(NodeId{1})->epoch, old_epoch};
  request.partitions = {join};
  const auto stale = decide_alterations(image, request, options);
  BOOST_TEST((stale.answer.front().error == KafkaError::ineligible_replica));
  BOOST_TEST(stale.records.empty());
  request.partitions.front().isr_epochs.back() = image.broker(NodeId{2})->epoch;
  const auto joined = decide_alterations(image, request, options);
  BOOST_TEST((joined.answer.front().error == KafkaError::none));
  BOOST_TEST(joined.records.size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_restarted_broker_is_not_eligible_by_what_it_had_before) {
  options.min_insync_replicas = 2;
  for (std::int32_t id : {1, 2}) bring_up(id);
  create(assigned_topic("orders", {{NodeId{1}, NodeId{2}}}));
  fence(2);
  BOOST_TEST((partition("orders").elr == std::vector<NodeId>{NodeId{2}}));
  fence(1);
  BOOST_TEST((partition("orders").leader == no_node));
  restart(2, 2);
  unfence(2);
  BOOST_TEST((partition("orders").leader == no_node));
  unfence(1);
  BOOST_TEST((partition("orders").leader == NodeId{1}));
}

BOOST_AUTO_TEST_CASE(many_partitions_are_moved_in_entries_of_a_bounded_size) {
  for (std::int32_t id : {1, 2}) bring_up(id);
  create(topic_of("large", 5000, 2));
  auto decision = decide_fence(image, NodeId{1}, options);
  BOOST_TEST(decision.records.size() == records_per_entry_max);
  const auto version_before = image.index().led.at(NodeId{1}).total;
  BOOST_TEST(version_before == 2500u);
  const int entry_count = carry_out(std::move(decision));
  BOOST_TEST(entry_count >= 5);
  BOOST_TEST(image.index().led.at(NodeId{1}).total == 0u);
  BOOST_TEST(image.index().held.at(NodeId{1}).total == 0u);
  BOOST_TEST(image.index().led.at(NodeId{2}).total == 5000u);
}

BOOST_AUTO_TEST_CASE(what_a_fenced_broker_led_is_moved_before_all_else) {
  for (std::int32_t id : {1, 2, 3}) bring_up(id);
  create(topic_of("large", 6000, 3));
  const auto led_before = image.index().led.at(NodeId{1}).total;
  const auto decision = decide_fence(image, NodeId{1}, options);
  replay(decision.records);
  // One of them fences.
  BOOST_TEST(image.index().led.at(NodeId{1}).total == led_before - (records_per_entry_max - 1));
}

BOOST_AUTO_TEST_CASE(a_partition_is_moved_once) {
  for (std::int32_t id : {1, 2, 3}) bring_up(id);
  create(assigned_topic("orders", {{NodeId{1}, NodeId{2}, NodeId{3}}}));
  const LeaderEpoch before = partition("orders").leader_epoch;
  fence(1);
  BOOST_TEST((partition("orders").leader == NodeId{2}));
  BOOST_TEST(partition("orders").leader_epoch == before.next());
  BOOST_TEST((partition("orders").isr == std::vector<NodeId>{NodeId{2}, NodeId{3}}));
}

BOOST_AUTO_TEST_CASE(a_controller_finishes_what_another_began) {
  for (std::int32_t id : {1, 2}) bring_up(id);
  create(topic_of("large", 5000, 2));
  // Only the first entry of the fencing was committed.
  replay(decide_fence(image, NodeId{1}, options).records);
  BOOST_TEST(image.index().led.at(NodeId{1}).total > 0u);
  for (PartitionWalk& walk : walks_left(image, options)) carry_out({{}, std::move(walk)});
  BOOST_TEST(image.index().led.at(NodeId{1}).total == 0u);
}

BOOST_AUTO_TEST_CASE(a_walk_leaves_alone_who_came_back_before_its_turn) {
  for (std::int32_t id : {1, 2}) bring_up(id);
  create(topic_of("large", 5000, 2));
  auto decision = decide_fence(image, NodeId{1}, options);
  replay(decision.records);
  unfence(1);
  const auto led = image.index().led.at(NodeId{1}).total;
  carry_out({{}, std::move(decision.rest)});
  BOOST_TEST(image.index().led.at(NodeId{1}).total == led);
}

BOOST_AUTO_TEST_CASE(leaders_are_imbalanced_beyond_the_percentage_and_a_walk_puts_them_right) {
  for (std::int32_t id : {1, 2}) bring_up(id);
  create(topic_of("orders", 100, 2));
  BOOST_TEST(!is_imbalanced(image, options));
  fence(1);
  unfence(1);
  BOOST_TEST(is_imbalanced(image, options));
  // Nobody can lead while it is not in sync.
  carry_out({{}, preferred_walk(image, options)});
  BOOST_TEST(is_imbalanced(image, options));
  AlterPartition request;
  request.broker = NodeId{2};
  const TopicId id = image.topic("orders")->id;
  for (std::int32_t p = 0; p < 100; ++p) {
    const auto& now = partition("orders", static_cast<std::size_t>(p));
    request.partitions.push_back(
        {id, PartitionIndex{p}, now.leader_epoch, now.partition_epoch, {NodeId{1}, NodeId{2}}});
  }
  replay(decide_alterations(image, request, options).records);
  carry_out({{}, preferred_walk(image, options)});
  BOOST_TEST(!is_imbalanced(image, options));
  BOOST_TEST(image.index().led.at(NodeId{1}).total == 50u);
}

// Every kind of decision, on an image of which the bytes are compared before and after.
BOOST_AUTO_TEST_CASE(deciding_changes_nothing) {
  for (std::int32_t id : {1, 2, 3}) bring_up(id);
  create(topic_of("orders", 20, 3));
  const auto bytes = [&] {
    metadata::SnapshotWriter writer(std::make_shared<const metadata::Image>(image));
    return writer.next(1 << 20);
  };
  const Bytes before = bytes();
  const metadata::Image same = image;
  (void)decide_registration(image, registration_of(1, 2), false);
  (void)decide_farewell(image, NodeId{1}, options);
  (void)decide_fence(image, NodeId{1}, options);
  (void)decide_unfence(image, NodeId{1}, options);
  (void)decide_shutdown(image, NodeId{1}, options);
  (void)decide_removal(image, {"orders"});
  (void)decide_producer_ids(image);
  TopicMaker maker({topic_of("new", 10, 3)}, options);
  BOOST_TEST(maker.next(image, 100, random).size() == 11u);
  BOOST_TEST((bytes() == before));
  // Going back is keeping the older value: what was replayed onto a copy is not in the original.
  metadata::Delta delta;
  const auto decided = decide_fence(image, NodeId{1}, options).records;
  const metadata::Image other = image.replay(decided, LogIndex{99}, delta);
  BOOST_TEST(other.broker(NodeId{1})->fenced);
  BOOST_TEST((bytes() == before));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::controller
