#include "controller/quorum/metadata_machine.h"

#include <boost/test/unit_test.hpp>

namespace qlab::controller {
namespace {

consensus::Entry entry_of(std::int64_t index, const metadata::Records& records) {
  consensus::Entry entry;
  entry.id = {Epoch{1}, LogIndex{index}};
  entry.kind = consensus::EntryKind::data;
  entry.body = std::make_shared<const Bytes>(metadata::encode_entry(records));
  return entry;
}

metadata::Records topic_records(std::string name, TopicId id) {
  metadata::TopicRecord topic;
  topic.name = std::move(name);
  topic.topic_id = id;
  metadata::PartitionRecord partition;
  partition.topic_id = id;
  partition.replicas = partition.isr = {NodeId{1}};
  partition.leader = NodeId{1};
  return {topic, partition};
}

struct Follower {
  metadata::Publisher publisher;
  std::vector<Error> fatal;
  std::vector<metadata::DeltaPtr> deltas;
  MetadataMachine machine{publisher, nullptr, [this](Error error) { fatal.push_back(error); }};

  Follower() {
    publisher.subscribe([this](const metadata::ImagePtr&, const metadata::DeltaPtr& delta) {
      deltas.push_back(delta);
    });
  }
};

BOOST_AUTO_TEST_SUITE(metadata_machine)

BOOST_AUTO_TEST_CASE(an_image_takes_the_place_of_what_a_follower_knew) {
  Follower one;
  one.machine.apply({entry_of(1, topic_records("kept", TopicId{1, 1})),
                     entry_of(2, topic_records("new", TopicId{1, 2}))});
  Follower other;
  other.machine.apply({entry_of(1, topic_records("gone", TopicId{1, 3}))});

  const auto source = one.machine.snapshot();
  // What is applied meanwhile does not show in it.
  one.machine.apply({entry_of(3, topic_records("later", TopicId{1, 4}))});
  other.machine.begin_restore({Epoch{1}, LogIndex{2}});
  for (Bytes piece = source->next(10); !piece.empty(); piece = source->next(10)) {
    BOOST_REQUIRE(other.machine.restore_piece(piece).has_value());
  }
  BOOST_REQUIRE(other.machine.restored().has_value());

  BOOST_TEST(other.machine.applied().value() == 2);
  const metadata::ImagePtr image = other.publisher.image();
  BOOST_TEST(image->topics().size() == 2u);
  BOOST_TEST((image->topic("new") != nullptr));
  BOOST_TEST((image->topic("later") == nullptr));
  const std::set<TopicId> all{{1, 1}, {1, 2}, {1, 3}};
  BOOST_TEST((other.deltas.back()->topics == all));
}

BOOST_AUTO_TEST_CASE(half_an_image_is_an_error_and_changes_nothing) {
  Follower one;
  one.machine.apply({entry_of(1, topic_records("orders", TopicId{1, 1}))});
  const auto source = one.machine.snapshot();
  Follower other;
  other.machine.begin_restore({Epoch{1}, LogIndex{1}});
  Bytes piece = source->next(1 << 20);
  piece.pop_back();
  BOOST_TEST(other.machine.restore_piece(piece).has_value());
  const auto restored = other.machine.restored();
  BOOST_REQUIRE(!restored.has_value());
  BOOST_TEST((restored.error().code == Errc::corrupt));
  BOOST_TEST(other.publisher.image()->topics().empty());
  BOOST_TEST(other.deltas.empty());
}

BOOST_AUTO_TEST_CASE(an_entry_that_does_not_decode_is_fatal) {
  Follower one;
  consensus::Entry entry = entry_of(1, topic_records("orders", TopicId{1, 1}));
  entry.body = std::make_shared<const Bytes>(Bytes{std::byte{9}});
  one.machine.apply({entry});
  BOOST_REQUIRE(one.fatal.size() == 1u);
  BOOST_TEST((one.fatal.front().code == Errc::corrupt));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::controller
