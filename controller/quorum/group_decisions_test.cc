// What is decided otherwise where partitions are consensus groups (ControllerOptions::groups_lead).

#include <boost/test/unit_test.hpp>

#include "controller/quorum/admin_decisions.h"
#include "controller/quorum/testing_image.h"

namespace qlab::controller {
namespace {

using wire::KafkaError;
using Nodes = std::vector<NodeId>;

const NodeId one{1}, two{2}, three{3}, four{4};

struct ThreeReplicas : TestingImage {
  ThreeReplicas() {
    options.groups_lead = true;
    for (std::int32_t id : {1, 2, 3, 4}) bring_up(id);
    topic = create(assigned_topic("orders", {{one, two, three}})).id;
  }

  AlterationOutcome claim(NodeId who, Nodes isr, std::int32_t behind = 0) {
    const auto& now = partition("orders");
    AlterPartition request;
    request.broker = who;
    request.partitions = {
        {topic, PartitionIndex{0}, now.leader_epoch, now.partition_epoch - behind, std::move(isr)}};
    request.partitions.front().claims_leadership = true;
    auto decision = decide_alterations(image, request, options);
    replay(decision.records);
    return decision.answer.front();
  }
  TopicId topic;
};

BOOST_FIXTURE_TEST_SUITE(group_decisions, ThreeReplicas)

BOOST_AUTO_TEST_CASE(who_leads_its_group_leads_the_partition_in_an_epoch_of_its_own) {
  const auto before = partition("orders");
  BOOST_REQUIRE((before.leader == one));
  const auto outcome = claim(two, {one, two, three});
  BOOST_TEST((outcome.error == KafkaError::none));
  BOOST_TEST((outcome.leader == two));
  const auto& after = partition("orders");
  BOOST_TEST((after.leader == two));
  BOOST_TEST((after.leader_epoch == before.leader_epoch.next()));
  BOOST_TEST((outcome.leader_epoch == after.leader_epoch));
  BOOST_TEST(outcome.partition_epoch == after.partition_epoch);
}

BOOST_AUTO_TEST_CASE(a_claim_says_who_is_in_sync_too) {
  BOOST_TEST((claim(three, {two, three}).error == KafkaError::none));
  BOOST_TEST((partition("orders").leader == three));
  BOOST_TEST((partition("orders").isr == Nodes{two, three}));
}

BOOST_AUTO_TEST_CASE(a_partition_without_a_leader_is_claimed) {
  for (std::int32_t id : {1, 2, 3}) fence(id);
  BOOST_REQUIRE((partition("orders").leader == no_node));
  BOOST_REQUIRE((partition("orders").isr == Nodes{three}));
  unfence(1);
  BOOST_REQUIRE((partition("orders").leader == no_node));
  // A quorum made it the group's leader, though the last ISR did not have it.
  BOOST_TEST((claim(one, {one}).error == KafkaError::none));
  BOOST_TEST((partition("orders").leader == one));
}

BOOST_AUTO_TEST_CASE(of_two_claims_on_one_partition_epoch_the_second_is_refused) {
  BOOST_TEST((claim(two, {one, two, three}).error == KafkaError::none));
  BOOST_TEST((claim(three, {one, two, three}, 1).error == KafkaError::invalid_update_version));
  BOOST_TEST((partition("orders").leader == two));
}

BOOST_AUTO_TEST_CASE(a_claim_in_an_epoch_of_the_past_or_not_known_here_is_refused) {
  const auto& now = partition("orders");
  AlterPartition request;
  request.broker = two;
  request.partitions = {
      {topic, PartitionIndex{0}, now.leader_epoch, now.partition_epoch, {one, two, three}}};
  request.partitions.front().claims_leadership = true;
  AlterPartition later = request;
  later.partitions.front().leader_epoch = now.leader_epoch.next();
  BOOST_TEST((decide_alterations(image, later, options).answer.front().error ==
              KafkaError::not_controller));
  BOOST_REQUIRE((claim(three, {one, two, three}).error == KafkaError::none));
  const auto refused = decide_alterations(image, request, options);
  BOOST_TEST((refused.answer.front().error == KafkaError::fenced_leader_epoch));
  BOOST_TEST(refused.records.empty());
}

BOOST_AUTO_TEST_CASE(nobody_claims_what_it_has_no_replica_of_or_while_it_is_fenced) {
  BOOST_TEST((claim(four, {four}).error == KafkaError::invalid_request));
  BOOST_TEST((claim(two, {one, three}).error == KafkaError::invalid_request), "it is in sync");
  BOOST_TEST((claim(two, {one, two, four}).error == KafkaError::invalid_request));
  fence(2);
  BOOST_TEST((claim(two, {two, three}).error == KafkaError::ineligible_replica));
  BOOST_TEST((claim(three, {two, three}).error == KafkaError::ineligible_replica));
  BOOST_TEST((partition("orders").leader == one));
}

BOOST_AUTO_TEST_CASE(nobody_claims_where_the_in_sync_replicas_count) {
  options.groups_lead = false;
  BOOST_TEST((claim(two, {one, two, three}).error == KafkaError::invalid_request));
  BOOST_TEST((partition("orders").leader == one));
}

BOOST_AUTO_TEST_CASE(replicas_of_a_group_do_not_move_and_the_error_names_why) {
  for (const bool is_cancelled : {false, true}) {
    wire::AlterPartitionReassignmentsRequest request;
    wire::AlterPartitionReassignmentsRequest::Topic wanted;
    wanted.name = "orders";
    auto& moved = wanted.partitions.emplace_back();
    moved.partition_index = PartitionIndex{0};
    if (!is_cancelled) moved.replicas = Nodes{one, two, four};
    request.topics.push_back(std::move(wanted));
    const auto decision = decide_reassignments(image, request, options);
    BOOST_TEST(decision.records.empty());
    const auto& answer = decision.answer.responses.front().partitions.front();
    BOOST_TEST((answer.error_code == KafkaError::invalid_request));
    BOOST_TEST(answer.error_message.value_or("") ==
               "unsupported: with replicator=consensus a partition's replicas stay as they are");
  }
}

BOOST_AUTO_TEST_CASE(a_topic_grows_by_groups_of_their_own) {
  wire::CreatePartitionsRequest request;
  wire::CreatePartitionsRequest::Topic wanted;
  wanted.name = "orders";
  wanted.count = 3;
  request.topics.push_back(std::move(wanted));
  const auto decision = decide_growth(image, request, random);
  BOOST_TEST((decision.answer.results.front().error_code == KafkaError::none));
  replay(decision.records);
  BOOST_TEST(partition("orders", 2).replicas.size() == 3u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::controller
