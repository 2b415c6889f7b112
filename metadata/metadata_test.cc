#include <map>

#include <boost/test/unit_test.hpp>

#include "common/prng.h"
#include "metadata/image.h"

namespace qlab::metadata {
namespace {

RegisterBrokerRecord broker_record(std::int32_t id, std::int64_t epoch) {
  RegisterBrokerRecord record;
  record.broker_id = NodeId{id};
  record.broker_epoch = BrokerEpoch{epoch};
  record.host = "localhost";
  record.port = 9092;
  return record;
}

Records topic_records(std::string name, TopicId id) {
  TopicRecord topic;
  topic.name = std::move(name);
  topic.topic_id = id;
  PartitionRecord partition;
  partition.topic_id = id;
  partition.replicas = {NodeId{1}, NodeId{2}};
  partition.isr = {NodeId{1}, NodeId{2}};
  partition.leader = NodeId{1};
  return {topic, partition};
}

BOOST_AUTO_TEST_SUITE(metadata)

BOOST_AUTO_TEST_CASE(a_bucket_map_behaves_as_a_map_and_its_older_copies_do_not_change) {
  Prng prng(7);
  BucketMap<std::string, int> map;
  std::map<std::string, int> twin;
  for (int step = 0; step < 3000; ++step) {
    const std::string key = std::to_string(prng.below(700));
    const auto before = map;
    const std::size_t size_before = twin.size();
    if (prng.chance(0.6)) {
      map = map.with(key, step);
      twin[key] = step;
    } else {
      map = map.without(key);
      twin.erase(key);
    }
    BOOST_REQUIRE_EQUAL(before.size(), size_before);
    BOOST_REQUIRE_EQUAL(map.size(), twin.size());
  }
  std::map<std::string, int> seen;
  map.for_each([&](const std::string& key, int value) { seen[key] = value; });
  BOOST_TEST((seen == twin));
}

BOOST_AUTO_TEST_CASE(an_entry_comes_back_as_it_was_encoded) {
  Records records = topic_records("orders", TopicId{1, 2});
  PartitionChangeRecord change;
  change.topic_id = TopicId{1, 2};
  change.isr = std::vector<NodeId>{NodeId{2}};
  change.leader = NodeId{2};
  records.emplace_back(change);

  const auto decoded = decode_entry(encode_entry(records));
  BOOST_REQUIRE(decoded.has_value());
  BOOST_REQUIRE_EQUAL(decoded->size(), 3u);
  BOOST_TEST(std::get<TopicRecord>(decoded->at(0)).name == "orders");
  BOOST_TEST((std::get<PartitionChangeRecord>(decoded->at(2)).leader == NodeId{2}));
}

BOOST_AUTO_TEST_CASE(an_entry_cut_short_anywhere_is_refused) {
  const Bytes entry = encode_entry(topic_records("orders", TopicId{1, 2}));
  for (std::size_t size = 0; size < entry.size(); ++size) {
    BOOST_TEST(!decode_entry(ByteView(entry).first(size)).has_value(), "cut at " << size);
  }
}

BOOST_AUTO_TEST_CASE(replaying_makes_a_new_image_and_leaves_the_old_one) {
  Delta delta;
  const Image empty;
  const Image one = empty.replay({broker_record(1, 1)}, LogIndex{1}, delta);
  const Image two = one.replay(topic_records("orders", TopicId{1, 2}), LogIndex{2}, delta);
  BOOST_TEST(empty.brokers().empty());
  BOOST_TEST((one.topic("orders") == nullptr));
  BOOST_REQUIRE((two.topic("orders") != nullptr));
  BOOST_TEST((two.topic(TopicId{1, 2}) == two.topic("orders")));
  BOOST_TEST(two.offset().value() == 2);
  BOOST_TEST(delta.topics.contains(TopicId{1, 2}));
  BOOST_TEST(delta.brokers.contains(NodeId{1}));
}

BOOST_AUTO_TEST_CASE(
    a_new_leader_raises_the_leader_epoch_and_an_isr_change_only_the_partition_epoch) {
  Delta delta;
  const Image image = Image().replay(topic_records("orders", TopicId{1, 2}), LogIndex{1}, delta);
  PartitionChangeRecord shrink;
  shrink.topic_id = TopicId{1, 2};
  shrink.isr = std::vector<NodeId>{NodeId{1}};
  const Image shrunk = image.replay({shrink}, LogIndex{2}, delta);
  const Partition* partition = shrunk.partition(TopicId{1, 2}, PartitionIndex{0});
  BOOST_TEST(partition->leader_epoch.value() == 0);
  BOOST_TEST(partition->partition_epoch == 1);

  PartitionChangeRecord lead;
  lead.topic_id = TopicId{1, 2};
  lead.leader = no_node;
  const Image leaderless = shrunk.replay({lead}, LogIndex{3}, delta);
  partition = leaderless.partition(TopicId{1, 2}, PartitionIndex{0});
  BOOST_TEST(partition->leader_epoch.value() == 1);
  BOOST_TEST(partition->partition_epoch == 2);
  BOOST_TEST((partition->isr == std::vector<NodeId>{NodeId{1}}));
}

BOOST_AUTO_TEST_CASE(a_removed_topic_is_found_neither_by_name_nor_by_id) {
  Delta delta;
  RemoveTopicRecord remove;
  remove.topic_id = TopicId{1, 2};
  Records records = topic_records("orders", TopicId{1, 2});
  const Image made = Image().replay(records, LogIndex{1}, delta);
  const Image gone = made.replay({remove}, LogIndex{2}, delta);
  BOOST_TEST((gone.topic("orders") == nullptr));
  BOOST_TEST((gone.topic(TopicId{1, 2}) == nullptr));
  // Also when both happen in one batch.
  records.emplace_back(remove);
  BOOST_TEST((Image().replay(records, LogIndex{1}, delta).topic("orders") == nullptr));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::metadata
