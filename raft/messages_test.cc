#include "raft/messages.h"

#include <boost/test/unit_test.hpp>

#include "common/prng.h"

namespace qlab::raft {
namespace {

using consensus::Entry;
using consensus::EntryKind;
using consensus::LogId;
using consensus::Message;

Entry entry(std::int64_t epoch, std::int64_t index) {
  return {{Epoch{epoch}, LogIndex{index}}, EntryKind::data, std::make_shared<const Bytes>(3)};
}

std::vector<Payload> one_of_each() {
  const LogId id{Epoch{2}, LogIndex{7}};
  const Uuid disk{1, 2};
  const Ticket ticket{77, 5};
  const auto bytes = std::make_shared<const Bytes>(4);
  const consensus::SnapshotMeta image{id, {{{NodeId{1}}}, {}, 0, 0}, 10};
  return {VoteRequest{true, false, disk, id},
          VoteReply{false, true, disk},
          AppendRequest{id, LogIndex{6}, {entry(2, 8), entry(3, 9)}},
          AppendReply{false, LogIndex{0}, LogIndex{7}, id, disk},
          Heartbeat{LogIndex{5}, 9},
          HeartbeatReply{9, disk},
          SnapshotRequest{image, 6, bytes},
          SnapshotReply{id, 6, disk},
          TimeoutNow{},
          ReadRequest{ticket},
          ReadReply{ticket, true, LogIndex{9}},
          ForwardRequest{ticket, {bytes, bytes}},
          ForwardReply{ticket, consensus::Fate::committed, id}};
}

BOOST_AUTO_TEST_SUITE(raft_messages)

BOOST_AUTO_TEST_CASE(every_message_survives_its_bytes) {
  for (const Payload& payload : one_of_each()) {
    const Message message = encode(Epoch{3}, payload);
    const auto decoded = decode(message);
    BOOST_REQUIRE(decoded.has_value());
    BOOST_TEST(decoded->index() == payload.index());
    const Message again = encode(Epoch{3}, *decoded);
    BOOST_TEST((again.kind == message.kind && again.head == message.head));
    BOOST_TEST(describe(again) == describe(message));
  }
}

BOOST_AUTO_TEST_CASE(a_head_that_is_cut_or_too_long_is_refused) {
  for (const Payload& payload : one_of_each()) {
    const Message message = encode(Epoch{3}, payload);
    for (std::size_t keep = 0; keep < message.head.size(); ++keep) {
      Message cut = message;
      cut.head.resize(keep);
      BOOST_TEST(!decode(cut).has_value());
    }
    Message longer = message;
    longer.head.push_back(std::byte{0});
    BOOST_TEST(!decode(longer).has_value());
  }
}

BOOST_AUTO_TEST_CASE(impossible_fields_are_refused_with_a_reason) {
  const AppendRequest good{{Epoch{2}, LogIndex{7}}, LogIndex{6}, {entry(2, 8), entry(3, 9)}};
  const auto reason = [](const Message& message) { return decode(message).error().context; };

  Message message = encode(Epoch{3}, good);
  message.entries[1].id.index = LogIndex{10};
  BOOST_TEST(reason(message) == "entry 10 does not follow 8");
  message = encode(Epoch{3}, good);
  message.entries[0].id.epoch = Epoch{1};
  BOOST_TEST(reason(message) == "entry 8 has epoch 1 outside [2, 3]");
  message = encode(Epoch{2}, good);
  BOOST_TEST(reason(message) == "entry 9 has epoch 3 outside [2, 2]");
  message = encode(Epoch{1}, good);
  BOOST_TEST(reason(message) == "previous entry of epoch 2 in a message of epoch 1");
  message = encode(Epoch{3}, Heartbeat{});
  message.entries.push_back(entry(3, 1));
  BOOST_TEST(reason(message) == "heartbeat carries entries");
  BOOST_TEST(reason(encode(Epoch{0}, Heartbeat{})) == "epoch 0 is out of range");
  message = encode(Epoch{3}, Heartbeat{LogIndex{-1}, 0});
  BOOST_TEST(!decode(message).has_value());
  message = encode(Epoch{3}, VoteReply{});
  message.kind = 77;
  BOOST_TEST(!decode(message).has_value());
}

BOOST_AUTO_TEST_CASE(random_bytes_never_crash_the_decoder) {
  Prng random(3);
  for (int round = 0; round < 20'000; ++round) {
    Message message;
    message.kind = static_cast<std::uint16_t>(random.below(16));
    message.epoch = Epoch{random.between(-2, 5)};
    message.head.resize(random.below(50));
    for (std::byte& byte : message.head) byte = static_cast<std::byte>(random.below(256));
    static_cast<void>(decode(message));
    BOOST_TEST(!describe(message).empty());
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::raft
