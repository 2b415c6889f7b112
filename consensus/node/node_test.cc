#include <boost/test/unit_test.hpp>

#include "consensus/node/options.h"
#include "consensus/node/register.h"
#include "wire/consensus/client_frames.h"

namespace qlab::consensus::node {
namespace {

std::shared_ptr<const Bytes> body_of(std::string_view text) {
  const ByteView view = as_view(text);
  return std::make_shared<const Bytes>(view.begin(), view.end());
}

std::vector<std::string> flags(std::vector<std::string> more) {
  std::vector<std::string> words = {"--id=1", "--voters=1@h:1,2@h:2", "--dir=d"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(consensus_node)

BOOST_AUTO_TEST_CASE(a_register_is_what_its_image_says) {
  Register first;
  first.apply({{{Epoch(1), LogIndex(1)}, EntryKind::no_op, body_of("")},
               {{Epoch(1), LogIndex(2)}, EntryKind::data, body_of("a")},
               {{Epoch(1), LogIndex(3)}, EntryKind::data, body_of("b")}});
  BOOST_TEST(first.count() == 2u);
  BOOST_TEST(as_text(first.last()) == "b");
  Register second;
  second.begin_restore({Epoch(1), LogIndex(3)});
  const auto image = first.snapshot();
  const Bytes piece = image->next(1);
  BOOST_TEST(image->next(1).empty());
  BOOST_REQUIRE(second.restore_piece(piece).has_value());
  BOOST_REQUIRE(second.restored().has_value());
  BOOST_TEST(second.count() == 2u);
  BOOST_TEST(as_text(second.last()) == "b");
}

BOOST_AUTO_TEST_CASE(a_torn_image_is_no_register) {
  Register machine;
  machine.begin_restore({Epoch(1), LogIndex(3)});
  BOOST_REQUIRE(machine.restore_piece(as_view("short")).has_value());
  BOOST_TEST((machine.restored().error().code == Errc::corrupt));
}

BOOST_AUTO_TEST_CASE(client_frames_come_back_as_they_were_and_garbage_is_corrupt) {
  using namespace wire::consensus;
  BytesWriter out;
  put(out, Reply{RequestKind::read, 7, ReplyFate::rejected, 3, 4, 5, as_view("words")});
  const auto reply = decode_reply(out.view().subspan(length_bytes));
  BOOST_REQUIRE(reply.has_value());
  BOOST_TEST(reply->sequence == 7u);
  BOOST_TEST((reply->fate == ReplyFate::rejected));
  BOOST_TEST(reply->leader == 3);
  BOOST_TEST(reply->index == 5);
  BOOST_TEST(as_text(reply->body) == "words");
  BOOST_TEST((decode_request(as_view("\x09 garbage")).error().code == Errc::corrupt));
  BOOST_TEST((decode_request(as_view("\x01")).error().code == Errc::corrupt));
}

BOOST_AUTO_TEST_CASE(a_flag_that_is_wrong_is_named_with_what_is_allowed) {
  BOOST_TEST(parse_options(flags({})).has_value());
  BOOST_TEST(parse_options(flags({"--transport=udp"})).error().context ==
             "--transport=udp: allowed is grpc, tcp");
  BOOST_TEST(parse_options(flags({"--detection-ms=1"})).error().context ==
             "--detection-ms=1: allowed is 10 to 60000");
  BOOST_TEST(parse_options(flags({"--id=3"})).error().context ==
             "--id=3: it is none of --voters; allowed is one of them");
}

BOOST_AUTO_TEST_CASE(equal_budgets_are_the_same_for_every_module) {
  auto options = *parse_options(flags({"--detection-ms=200"}));
  for (const std::string module : {"raft", "kraft", "zab"}) {
    options.module = module;
    const Tuning tuning = tuning_of(options);
    BOOST_TEST((tuning.election_timeout == std::chrono::milliseconds(200)));
    BOOST_TEST((tuning.fetch_timeout == std::chrono::milliseconds(200)));
    BOOST_TEST((tuning.sync_limit == std::chrono::milliseconds(200)));
    BOOST_TEST((tuning.heartbeat_interval == std::chrono::milliseconds(40)));
    BOOST_TEST((tuning.finalize_wait == std::chrono::milliseconds(20)));
  }
  options.detection_ms = 5000;
  BOOST_TEST((tuning_of(options).finalize_wait == std::chrono::milliseconds(50)));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace qlab::consensus::node
