#include "metadata/snapshot.h"

#include <boost/test/unit_test.hpp>

#include "common/prng.h"

namespace qlab::metadata {
namespace {

RegisterBrokerRecord broker_record(std::int32_t id, std::int64_t epoch) {
  RegisterBrokerRecord record;
  record.broker_id = NodeId{id};
  record.broker_epoch = BrokerEpoch{epoch};
  record.host = "localhost";
  return record;
}

PartitionRecord partition_record(TopicId id, std::int32_t index) {
  PartitionRecord record;
  record.topic_id = id;
  record.partition = PartitionIndex{index};
  record.replicas = {NodeId{1}, NodeId{2}, NodeId{3}};
  record.isr = {NodeId{1}, NodeId{2}};
  record.leader = NodeId{index % 2 + 1};
  return record;
}

ConfigRecord config_record(TopicId id, std::string key) {
  ConfigRecord record;
  record.topic_id = id;
  record.key = std::move(key);
  record.value = "1";
  return record;
}

// A cluster with one of everything, `topics` topics, and one that is forming.
Image sample(int topics, bool backwards = false) {
  Delta delta;
  // Broker 1 came back, so its epoch is the largest.
  Image image = Image().replay({broker_record(1, 1), broker_record(2, 2)}, LogIndex{1}, delta);
  image = image.replay({broker_record(1, 3)}, LogIndex{7}, delta);
  UnfenceBrokerRecord unfence;
  unfence.broker_id = NodeId{2};
  unfence.broker_epoch = BrokerEpoch{2};
  BrokerRegistrationChangeRecord leaving;
  leaving.broker_id = NodeId{1};
  leaving.broker_epoch = BrokerEpoch{3};
  ProducerIdsRecord ids;
  ids.next_producer_id = ProducerId{3000};
  image = image.replay({unfence, leaving, ids, config_record({}, "min.insync.replicas")},
                       LogIndex{8}, delta);
  for (int t = 0; t < topics; ++t) {
    const int number = backwards ? topics - 1 - t : t;
    TopicRecord topic;
    topic.name = "topic-" + std::to_string(number);
    topic.topic_id = TopicId{9, static_cast<std::uint64_t>(number)};
    Records records{topic, config_record(topic.topic_id, "retention.ms")};
    for (int p = 0; p < number % 40 + 1; ++p)
      records.emplace_back(partition_record(topic.topic_id, p));
    image = image.replay(records, LogIndex{10 + t}, delta);
  }
  TopicRecord forming;
  forming.name = "forming";
  forming.topic_id = TopicId{1, 1};
  forming.partitions = 5;
  PartitionChangeRecord change;
  change.topic_id = TopicId{9, 0};
  change.elr = std::vector<NodeId>{NodeId{3}};
  change.adding = std::vector<NodeId>{NodeId{3}};
  change.recovering = 1;
  image =
      image.replay({forming, partition_record(forming.topic_id, 0), change}, LogIndex{5000}, delta);
  return image;
}

Bytes bytes_of(const Image& image, std::size_t piece_bytes) {
  SnapshotWriter writer(std::make_shared<const Image>(image));
  Bytes all;
  for (Bytes piece = writer.next(piece_bytes); !piece.empty(); piece = writer.next(piece_bytes)) {
    all.insert(all.end(), piece.begin(), piece.end());
  }
  return all;
}

BOOST_AUTO_TEST_SUITE(snapshot)

BOOST_AUTO_TEST_CASE(an_image_comes_back_whatever_the_pieces_and_goes_on_as_the_original) {
  const Image image = sample(300);
  const Bytes bytes = bytes_of(image, 1000);
  Prng prng(11);
  SnapshotReader reader;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t size = std::min<std::size_t>(prng.below(5000), bytes.size() - at);
    const auto added = reader.add(ByteView(bytes).subspan(at, size));
    BOOST_REQUIRE(added.has_value());
    at += size;
  }
  Delta delta;
  auto restored = reader.finish(LogIndex{5000}, delta);
  BOOST_REQUIRE(restored.has_value());
  BOOST_TEST(delta.topics.size() == 300u);
  BOOST_TEST(delta.brokers.size() == 2u);
  BOOST_TEST(restored->offset().value() == 5000);
  BOOST_TEST((bytes_of(*restored, 1 << 20) == bytes));
  BOOST_TEST(restored->broker(NodeId{1})->registered_at.value() == 7);
  BOOST_TEST(restored->broker(NodeId{1})->shutting_down);
  BOOST_TEST(!restored->broker(NodeId{2})->fenced);
  BOOST_TEST(restored->last_broker_epoch().value() == 3);
  BOOST_TEST(restored->next_producer_id().value() == 3000);
  BOOST_TEST(restored->broker_configs(no_node).size() == 1u);
  BOOST_TEST(restored->topic("topic-3")->configs.size() == 1u);
  BOOST_TEST(restored->forming().at(TopicId{1, 1})->partitions_wanted == 5);
  BOOST_TEST(
      (*restored->topic("topic-0")->partitions[0] == *image.topic("topic-0")->partitions[0]));
  BOOST_TEST(restored->index().led.at(NodeId{2}).total == image.index().led.at(NodeId{2}).total);
  BOOST_TEST(restored->index().reassigning.total == 1u);
}

BOOST_AUTO_TEST_CASE(two_replicas_whose_images_came_to_be_differently_write_the_same_bytes) {
  BOOST_TEST((bytes_of(sample(200), 100) == bytes_of(sample(200, true), 1 << 20)));
}

BOOST_AUTO_TEST_CASE(an_image_cut_short_anywhere_is_refused) {
  const Bytes bytes = bytes_of(sample(3), 1 << 20);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    SnapshotReader reader;
    const auto added = reader.add(ByteView(bytes).first(size));
    Delta delta;
    BOOST_TEST((!added || !reader.finish(LogIndex{1}, delta)), "cut at " << size);
  }
}

BOOST_AUTO_TEST_CASE(a_piece_is_about_as_large_as_asked_for) {
  SnapshotWriter writer(std::make_shared<const Image>(sample(2000)));
  for (Bytes piece = writer.next(10'000); !piece.empty(); piece = writer.next(10'000)) {
    BOOST_TEST(piece.size() < 10'000u + 100'000u);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::metadata
