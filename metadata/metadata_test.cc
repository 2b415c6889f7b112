#include <boost/test/unit_test.hpp>

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

// The records of a topic of which only some partitions come, and those of the others.
Records first_part(TopicId id) {
  Records records = topic_records("large", id);
  std::get<TopicRecord>(records.front()).partitions = 3;
  return records;
}
PartitionRecord later_part(TopicId id, std::int32_t index) {
  auto record = std::get<PartitionRecord>(topic_records("large", id).back());
  record.partition = PartitionIndex{index};
  return record;
}

BOOST_AUTO_TEST_CASE(a_topic_that_comes_in_parts_is_there_when_the_last_of_them_is) {
  const TopicId id{1, 2};
  Delta delta;
  Image image = Image().replay(first_part(id), LogIndex{1}, delta);
  image = image.replay({later_part(id, 1)}, LogIndex{2}, delta);
  BOOST_TEST((image.topic("large") == nullptr));
  BOOST_TEST(image.topics().empty());
  BOOST_TEST((image.any_topic(id) != nullptr));
  BOOST_TEST(delta.topics.empty());
  image = image.replay({later_part(id, 2)}, LogIndex{3}, delta);
  BOOST_REQUIRE((image.topic("large") != nullptr));
  BOOST_TEST(image.topic("large")->partitions.size() == 3u);
  BOOST_TEST(image.forming().empty());
  BOOST_TEST(delta.topics.contains(id));
  BOOST_TEST(!delta.partitions.contains(id));
}

BOOST_AUTO_TEST_CASE(a_topic_that_is_removed_while_it_is_forming_was_never_there) {
  const TopicId id{1, 2};
  Delta delta;
  Image image = Image().replay(first_part(id), LogIndex{1}, delta);
  RemoveTopicRecord remove;
  remove.topic_id = id;
  image = image.replay({remove}, LogIndex{2}, delta);
  BOOST_TEST(image.forming().empty());
  BOOST_TEST(image.index().held.at(NodeId{1}).total == 0u);
  BOOST_TEST(delta.topics.empty());
}

BOOST_AUTO_TEST_CASE(a_delta_names_the_partitions_that_changed_unless_the_topic_did) {
  const TopicId id{1, 2};
  Delta made;
  const Image image = Image().replay(topic_records("orders", id), LogIndex{1}, made);
  PartitionChangeRecord change;
  change.topic_id = id;
  change.leader = NodeId{2};
  Delta moved;
  const Image after = image.replay({change}, LogIndex{2}, moved);
  BOOST_TEST((moved.partitions.at(id) == std::set<PartitionIndex>{PartitionIndex{0}}));

  ConfigRecord config;
  config.topic_id = id;
  config.key = "min.insync.replicas";
  config.value = "2";
  const Image configured = after.replay({config}, LogIndex{3}, moved);
  BOOST_TEST(moved.topics.contains(id));
  BOOST_TEST(!moved.partitions.contains(id));
  BOOST_TEST(configured.topic(id)->configs.at("min.insync.replicas") == "2");
  config.value = std::nullopt;
  BOOST_TEST(configured.replay({config}, LogIndex{4}, moved).topic(id)->configs.empty());
}

BOOST_AUTO_TEST_CASE(the_index_counts_what_the_partitions_say) {
  const TopicId id{1, 2};
  Delta delta;
  Image image = Image().replay(topic_records("orders", id), LogIndex{1}, delta);
  BOOST_TEST(image.index().led.at(NodeId{1}).total == 1u);
  BOOST_TEST(image.index().held.at(NodeId{2}).total == 1u);
  BOOST_TEST(image.index().not_preferred.total == 0u);
  PartitionChangeRecord change;
  change.topic_id = id;
  change.isr = std::vector<NodeId>{NodeId{2}};
  change.leader = NodeId{2};
  image = image.replay({change}, LogIndex{2}, delta);
  BOOST_TEST(image.index().led.at(NodeId{1}).total == 0u);
  BOOST_TEST(image.index().held.at(NodeId{1}).topics.empty());
  BOOST_TEST(*image.index().led.at(NodeId{2}).topics.find(id) == 1u);
  BOOST_TEST(image.index().not_preferred.total == 1u);
}

BOOST_AUTO_TEST_CASE(a_change_between_two_partitions_makes_the_one_of_the_other) {
  Partition before;
  before.replicas = {NodeId{1}, NodeId{2}, NodeId{3}};
  before.isr = {NodeId{1}, NodeId{2}};
  before.leader = NodeId{1};
  BOOST_TEST(!change_between({}, {}, before, before).has_value());

  Partition after = before;
  after.replicas = {NodeId{1}, NodeId{2}};
  const auto fewer = change_between({}, {}, before, after);
  BOOST_REQUIRE(fewer.has_value());
  after.leader_epoch = LeaderEpoch{1};  // A removed replica is to be refused.
  after.partition_epoch = 1;
  BOOST_TEST((changed(before, *fewer) == after));

  after = before;
  after.isr = {NodeId{2}};
  after.elr = {NodeId{1}};
  after.leader = no_node;
  after.last_known_leader = NodeId{1};
  after.recovering = true;
  after.adding = {NodeId{3}};
  after.removing = {NodeId{1}};
  const auto all = change_between({}, {}, before, after);
  BOOST_REQUIRE(all.has_value());
  after.leader_epoch = LeaderEpoch{1};
  after.partition_epoch = 1;
  const auto decoded = decode_entry(encode_entry({*all}));
  BOOST_REQUIRE(decoded.has_value());
  BOOST_TEST((changed(before, std::get<PartitionChangeRecord>(decoded->front())) == after));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::metadata
