// Each invariant of clusters, shown red once by a history that breaks it, and green beside it.

#include "sim/cluster_invariants.h"

#include <boost/test/unit_test.hpp>

namespace qlab::sim {
namespace {

using metadata::ImagePtr;

constexpr NodeId one{1}, two{2};
const TopicId topic_id{3, 4};
const TopicPartition partition{"orders", PartitionIndex{0}};

ImagePtr after(const ImagePtr& before, const metadata::Records& records, std::int64_t at) {
  metadata::Delta unused;
  return std::make_shared<const metadata::Image>(before->replay(records, LogIndex{at}, unused));
}

ImagePtr with_topic(std::int64_t at, NodeId leader = one) {
  metadata::TopicRecord topic;
  topic.name = partition.topic;
  topic.topic_id = topic_id;
  metadata::PartitionRecord record;
  record.topic_id = topic_id;
  record.replicas = record.isr = {one, two};
  record.leader = leader;
  return after(std::make_shared<const metadata::Image>(), {topic, record}, at);
}

ImagePtr led_by(const ImagePtr& before, NodeId leader, std::int64_t at) {
  metadata::PartitionChangeRecord record;
  record.topic_id = topic_id;
  record.leader = leader;
  return after(before, {record}, at);
}

ImagePtr without_topic(const ImagePtr& before, std::int64_t at) {
  metadata::RemoveTopicRecord record;
  record.topic_id = topic_id;
  return after(before, {record}, at);
}

// What the last of some steps brings to light; the ones before must be in order.
struct Story {
  Story() {
    TopicFate fate;
    fate.is_created = true;
    history.topics.emplace(partition.topic, fate);
  }
  Finding publish(NodeId node, ImagePtr before, ImagePtr image) {
    history.fresh.published.push_back({node, std::move(before), std::move(image)});
    return judge(history);
  }
  Finding lead(NodeId node, std::int32_t epoch, std::int64_t end) {
    history.fresh.led.push_back({node, partition, topic_id, LeaderEpoch{epoch}, Offset{end}, true});
    return judge(history);
  }
  Finding acknowledge(std::int64_t offset, std::uint64_t value) {
    history.fresh.acknowledged.push_back({partition, {Offset{offset}, value}, 1});
    return judge(history);
  }
  Finding consume(std::int64_t offset, std::uint64_t value) {
    history.fresh.consumed.push_back(
        {partition, LeaderEpoch{0}, Offset{9}, Offset{9}, {{Offset{offset}, value}}});
    return judge(history);
  }
  ClusterHistory history;
};

bool names(const Finding& finding, std::string_view invariant) {
  return finding && finding->starts_with(invariant);
}

BOOST_AUTO_TEST_SUITE(cluster_invariants)

BOOST_AUTO_TEST_CASE(metadata_that_goes_back_on_a_node_is_found) {
  const ImagePtr old = with_topic(5);
  const ImagePtr now = led_by(old, two, 6);
  Story story;
  BOOST_TEST(!story.publish(one, nullptr, old));
  BOOST_TEST(!story.publish(one, old, now));
  BOOST_TEST(names(story.publish(one, now, old), "metadata_never_goes_back"));
  Story forged;  // The offset grows, and the leader epoch does not.
  BOOST_TEST(!forged.publish(one, nullptr, now));
  BOOST_TEST(names(forged.publish(one, now, with_topic(7)), "metadata_never_goes_back"));
}

BOOST_AUTO_TEST_CASE(images_that_differ_at_the_same_offset_are_found_where_they_share_a_log) {
  for (const bool share : {true, false}) {
    Story story;
    story.history.promises.images_share_a_log = share;
    BOOST_TEST(!story.publish(one, nullptr, with_topic(5)));
    BOOST_TEST(!story.publish(two, nullptr, with_topic(5)));
    const ImagePtr other = std::make_shared<const metadata::Image>();
    const Finding finding = story.publish(two, nullptr, after(other, {}, 5));
    BOOST_TEST(names(finding, "images_are_equal_at_equal_offsets") == share);
  }
}

BOOST_AUTO_TEST_CASE(a_deleted_topic_that_comes_back_is_found) {
  const ImagePtr there = with_topic(5);
  const ImagePtr gone = without_topic(there, 6);
  Story story;
  BOOST_TEST(!story.publish(one, nullptr, there));
  BOOST_TEST(!story.publish(one, there, gone));
  BOOST_TEST(!story.publish(two, nullptr, there));  // It has not heard of it yet.
  BOOST_TEST(names(story.publish(one, gone, with_topic(7)), "deleted_topics_stay_deleted"));
}

BOOST_AUTO_TEST_CASE(two_leaders_of_a_partition_in_one_epoch_are_found) {
  Story story;
  BOOST_TEST(!story.lead(one, 4, 0));
  BOOST_TEST(!story.lead(two, 5, 0));
  BOOST_TEST(names(story.lead(two, 4, 0), "one_partition_leader_per_epoch"));
  Story said;  // By images, whose nodes do not know of each other.
  said.history.promises.images_share_a_log = false;
  BOOST_TEST(!said.publish(one, nullptr, with_topic(5, one)));
  BOOST_TEST(
      names(said.publish(two, nullptr, with_topic(5, two)), "one_partition_leader_per_epoch"));
}

BOOST_AUTO_TEST_CASE(two_controllers_in_one_epoch_are_found) {
  Story story;
  story.history.fresh.decides.push_back({one, Epoch{7}});
  BOOST_TEST(!judge(story.history));
  story.history.fresh.decides.push_back({two, Epoch{7}});
  BOOST_TEST(names(judge(story.history), "one_controller_per_epoch"));
}

BOOST_AUTO_TEST_CASE(a_leader_without_an_acknowledged_record_is_found_where_that_is_promised) {
  for (const bool stay : {true, false}) {
    Story story;
    story.history.promises.records_stay = stay;
    BOOST_TEST(!story.acknowledge(0, 10));
    BOOST_TEST(!story.lead(one, 1, 1));
    BOOST_TEST(names(story.lead(two, 2, 0), "leaders_have_what_was_acknowledged") == stay);
  }
}

BOOST_AUTO_TEST_CASE(another_record_at_an_offset_is_found) {
  Story story;
  BOOST_TEST(!story.acknowledge(0, 10));
  BOOST_TEST(!story.consume(0, 10));
  BOOST_TEST(names(story.consume(0, 11), "an_offset_is_one_record"));
  Story stored;
  BOOST_TEST(!stored.consume(3, 10));
  stored.history.fresh.stored.push_back({two, partition, {{Offset{3}, 12}}});
  BOOST_TEST(names(judge(stored.history), "an_offset_is_one_record"));
}

BOOST_AUTO_TEST_CASE(a_record_that_stands_twice_is_found_where_records_stay) {
  for (const bool stay : {true, false}) {
    Story story;
    story.history.promises.records_stay = stay;
    BOOST_TEST(!story.acknowledge(0, 10));
    BOOST_TEST(!story.consume(0, 10));
    BOOST_TEST(names(story.consume(1, 10), "records_stand_once_and_in_order") == stay);
  }
}

BOOST_AUTO_TEST_CASE(records_of_an_idempotent_producer_that_change_places_are_found) {
  for (const bool is_idempotent : {true, false}) {
    Story story;
    if (is_idempotent) story.history.idempotent_clients.insert(0);
    BOOST_TEST(!story.consume(4, 10));
    BOOST_TEST(!story.consume(5, values_per_client + 1));  // Another's.
    BOOST_TEST(!story.consume(6, 12));
    BOOST_TEST(names(story.consume(7, 11), "records_stand_once_and_in_order") == is_idempotent);
    BOOST_TEST(names(story.consume(3, 13), "records_stand_once_and_in_order") == is_idempotent);
  }
}

BOOST_AUTO_TEST_CASE(a_watermark_that_goes_back_is_found) {
  Story story;
  story.history.fresh.consumed.push_back({partition, LeaderEpoch{0}, Offset{9}, Offset{9}, {}});
  BOOST_TEST(!judge(story.history));
  BOOST_TEST(story.history.watermark(partition, LeaderEpoch{0}).value() == 9);
  story.history.fresh.consumed.push_back({partition, LeaderEpoch{0}, Offset{8}, Offset{9}, {}});
  BOOST_TEST(names(judge(story.history), "watermarks_never_go_back"));
}

BOOST_AUTO_TEST_CASE(an_offset_that_was_read_and_is_out_of_range_is_found) {
  Story story;
  story.history.fresh.out_of_range.push_back({partition, Offset{4}});
  BOOST_TEST(names(judge(story.history), "what_was_read_stays_in_range"));
  Story deleted;
  deleted.history.topics.at(partition.topic).is_deletion_asked = true;
  deleted.history.fresh.out_of_range.push_back({partition, Offset{4}});
  BOOST_TEST(!judge(deleted.history));
}

BOOST_AUTO_TEST_CASE(a_node_that_does_not_start_is_found) {
  Story story;
  story.history.fresh.refused.push_back({one, "does not start"});
  BOOST_TEST(names(judge(story.history), "nodes_start_and_go_on"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::sim
