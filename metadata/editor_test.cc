#include "metadata/editor.h"

#include <boost/test/unit_test.hpp>

namespace qlab::metadata {
namespace {

const TopicId orders{Uuid{1, 1}};
const TopicId later_orders{Uuid{1, 2}};
constexpr PartitionIndex p0{0};
constexpr PartitionIndex p3{3};

std::shared_ptr<const Partition> led_by(NodeId leader) {
  Partition partition;
  partition.replicas = {leader};
  partition.isr = {leader};
  partition.leader = leader;
  return std::make_shared<const Partition>(partition);
}

Image with_one_partition(Delta& delta) {
  Editor editor(Image(), delta);
  editor.open_topic(orders, "orders");
  editor.set_partition(orders, p3, led_by(NodeId{1}));
  return std::move(editor).finish(LogIndex{1});
}

BOOST_AUTO_TEST_SUITE(editor)

BOOST_AUTO_TEST_CASE(a_topic_may_have_gaps_that_are_no_partitions) {
  Delta delta;
  const Image image = with_one_partition(delta);
  BOOST_TEST(image.topic("orders")->partitions.size() == 4u);
  BOOST_TEST(image.partition(orders, p3)->leader.value() == 1);
  BOOST_TEST(image.partition(orders, p0)->replicas.empty());
  const Editor editor(image, delta);
  BOOST_TEST((editor.partition(orders, p0) == nullptr));
  BOOST_TEST((editor.partition(orders, p3) != nullptr));
  // New: whoever follows looks at all of it.
  BOOST_TEST(delta.topics.contains(orders));
  BOOST_TEST(delta.partitions.empty());
}

BOOST_AUTO_TEST_CASE(a_delta_names_the_partitions_that_changed_and_the_image_of_before_stays) {
  Delta first;
  const Image before = with_one_partition(first);
  Delta delta;
  Editor editor(before, delta);
  editor.open_topic(orders, "orders");
  editor.set_partition(orders, p0, led_by(NodeId{2}));
  const Image after = std::move(editor).finish(LogIndex{2});
  BOOST_TEST((delta.partitions.at(orders) == std::set<PartitionIndex>{p0}));
  BOOST_TEST(after.partition(orders, p0)->leader.value() == 2);
  BOOST_TEST(before.partition(orders, p0)->replicas.empty());
}

BOOST_AUTO_TEST_CASE(what_is_opened_and_not_changed_is_no_change) {
  Delta first;
  const Image before = with_one_partition(first);
  Delta delta;
  Editor editor(before, delta);
  editor.open_topic(orders, "orders");
  editor.set_configs(orders, {});
  editor.clear_partition(orders, p0);
  const Image after = std::move(editor).finish(LogIndex{2});
  BOOST_TEST(delta.topics.empty());
  BOOST_TEST(after.topic(orders).get() == before.topic(orders).get());
}

BOOST_AUTO_TEST_CASE(a_topic_that_was_made_anew_under_its_name_takes_the_old_ones_place) {
  Delta first;
  const Image before = with_one_partition(first);
  Delta delta;
  Editor editor(before, delta);
  editor.open_topic(later_orders, "orders");
  editor.set_partition(later_orders, p0, led_by(NodeId{2}));
  const Image after = std::move(editor).finish(LogIndex{2});
  BOOST_TEST((after.topic(orders) == nullptr));
  BOOST_TEST((after.topic("orders")->id == later_orders));
  BOOST_TEST(delta.topics.contains(orders));
  BOOST_TEST(delta.topics.contains(later_orders));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::metadata
