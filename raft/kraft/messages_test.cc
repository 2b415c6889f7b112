#include "raft/kraft/messages.h"

#include <boost/test/unit_test.hpp>

#include "common/prng.h"

namespace qlab::raft::kraft {
namespace {

using consensus::Entry;
using consensus::EntryKind;
using consensus::LogId;
using consensus::Message;
using consensus::ReplicaKey;

Entry entry(std::int64_t epoch, std::int64_t index) {
  return {{Epoch{epoch}, LogIndex{index}}, EntryKind::data, std::make_shared<const Bytes>(3)};
}

FetchResponse response_with(std::vector<Entry> entries) {
  FetchResponse response;
  response.correlation = {4, 5};
  response.leader = NodeId{1};
  response.high_watermark = LogIndex{6};
  response.entries = std::move(entries);
  return response;
}

std::vector<Payload> one_of_each() {
  const LogId id{Epoch{2}, LogIndex{7}};
  const Correlation correlation{1, 2};
  FetchResponse diverging = response_with({});
  diverging.diverging_epoch = id;
  FetchResponse compacted = response_with({});
  compacted.snapshot = id;
  const Bytes bytes(9);
  return {Vote{correlation, true, Uuid{1, 2}, Uuid{3, 4}, id},
          VoteResponse{correlation, false, true, NodeId{3}},
          BeginQuorumEpoch{Uuid{1, 2}},
          BeginQuorumEpochResponse{NodeId{3}},
          EndQuorumEpoch{{{NodeId{2}, Uuid{1, 2}}, {NodeId{3}, Uuid{}}}},
          EndQuorumEpochResponse{},
          Fetch{correlation, Uuid{1, 2}, LogIndex{8}, Epoch{2}, LogIndex{6}, 3},
          response_with({entry(2, 8), entry(3, 9)}),
          diverging,
          compacted,
          FetchSnapshot{correlation, Uuid{1, 2}, id, 5},
          FetchSnapshotResponse{correlation, true, NodeId{1}, id, 20, 5, bytes, bytes}};
}

std::string refusal_of(const Message& message) {
  const auto payload = decode(message);
  return payload ? "none" : payload.error().context;
}

BOOST_AUTO_TEST_SUITE(kraft_messages)

BOOST_AUTO_TEST_CASE(every_message_survives_its_bytes) {
  for (const Payload& payload : one_of_each()) {
    const Message message = encode(Epoch{3}, payload);
    const auto decoded = decode(message);
    BOOST_REQUIRE(decoded.has_value());
    BOOST_TEST(decoded->index() == payload.index());
    const Message again = encode(Epoch{3}, *decoded);
    BOOST_TEST((again.kind == message.kind && again.head == message.head));
    BOOST_TEST(again.entries.size() == message.entries.size());
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

BOOST_AUTO_TEST_CASE(entries_that_do_not_follow_each_other_are_refused_with_a_reason) {
  const auto refused = [](std::vector<Entry> entries, std::int64_t epoch = 3) {
    return refusal_of(encode(Epoch{epoch}, response_with(std::move(entries))));
  };
  BOOST_TEST(refused({entry(2, 8), entry(3, 9)}) == "none");
  BOOST_TEST(refused({entry(2, 8), entry(3, 10)}) == "entry 10 does not follow 8");
  BOOST_TEST(refused({entry(3, 8), entry(2, 9)}) == "entry 9 has epoch 2 outside [3, 3]");
  BOOST_TEST(refused({entry(2, 8)}, 1) == "entry 8 has epoch 2 outside [1, 1]");
  BOOST_TEST(refused({entry(2, 0)}) == "entry 0 is before the first");
  Entry hollow = entry(2, 8);
  hollow.body = nullptr;
  BOOST_TEST(refused({hollow}) == "an entry has no body");
}

BOOST_AUTO_TEST_CASE(impossible_fields_are_refused_with_a_reason) {
  const LogId late{Epoch{9}, LogIndex{7}};
  const Correlation any{};
  BOOST_TEST(refusal_of(encode(Epoch{3}, Vote{any, false, {}, {}, late})) ==
             "9/7 in a message of epoch 3");
  BOOST_TEST(refusal_of(encode(Epoch{3}, Fetch{any, {}, LogIndex{0}, Epoch{0}, {}, 0})) ==
             "a fetch from before the first entry");
  BOOST_TEST(refusal_of(encode(Epoch{3}, Fetch{any, {}, LogIndex{1}, Epoch{2}, {}, 0})) ==
             "a fetch from 1 behind epoch 2");
  BOOST_TEST(refusal_of(encode(Epoch{3}, Fetch{any, {}, LogIndex{5}, Epoch{9}, {}, 0})) ==
             "9/4 in a message of epoch 3");
  FetchResponse both = response_with({entry(2, 8)});
  both.snapshot = LogId{Epoch{1}, LogIndex{1}};
  BOOST_TEST(refusal_of(encode(Epoch{3}, both)) == "a fetch response of two kinds");
  FetchSnapshotResponse piece;
  piece.size = 10;
  piece.position = 8;
  piece.bytes = Bytes(3);
  BOOST_TEST(refusal_of(encode(Epoch{3}, piece)) == "3 bytes at 8 of an image of 10");
  Message message = encode(Epoch{3}, VoteResponse{});
  message.entries.push_back(entry(3, 1));
  BOOST_TEST(refusal_of(message) == "vote_response carries entries");
  message = encode(Epoch{3}, VoteResponse{});
  message.kind = 77;
  BOOST_TEST(refusal_of(message) == "kind 77 is not known");
  BOOST_TEST(refusal_of(encode(Epoch{-1}, VoteResponse{})) == "epoch -1 is negative");
  BOOST_TEST(refusal_of(encode(Epoch{3}, VoteResponse{any, false, false, NodeId{-2}})) != "none");
}

BOOST_AUTO_TEST_CASE(random_bytes_never_crash_the_decoder) {
  Prng random(3);
  for (int round = 0; round < 20'000; ++round) {
    Message message;
    message.kind = static_cast<std::uint16_t>(random.below(13));
    message.epoch = Epoch{random.between(-2, 5)};
    message.head.resize(random.below(90));
    for (std::byte& byte : message.head) byte = static_cast<std::byte>(random.below(256));
    static_cast<void>(decode(message));
    BOOST_TEST(!describe(message).empty());
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::raft::kraft
