#include "replication/isr.h"

#include <algorithm>

#include <boost/test/unit_test.hpp>

#include "common/prng.h"

namespace qlab::replication {
namespace {

using std::chrono::milliseconds;

const NodeId one{1}, two{2}, three{3};
const Time start{};

Follower acknowledged(std::int64_t offset) {
  Follower follower;
  follower.acknowledged = Offset{offset};
  return follower;
}

BOOST_AUTO_TEST_SUITE(isr)

BOOST_AUTO_TEST_CASE(the_watermark_is_what_every_member_has_including_the_leaders_own_disk) {
  const std::map<NodeId, Follower> followers{{two, acknowledged(7)}, {three, acknowledged(5)}};
  const auto mark = [&](std::int64_t leader, std::vector<NodeId> isr) {
    return high_watermark({Offset{2}, Offset{leader}, 1}, one, isr, followers).value();
  };
  BOOST_TEST(mark(9, {one, two, three}) == 5);
  BOOST_TEST(mark(9, {one, two}) == 7);
  BOOST_TEST(mark(4, {one, two, three}) == 4);
  BOOST_TEST(mark(9, {one}) == 9);
}

BOOST_AUTO_TEST_CASE(the_watermark_waits_for_a_member_that_was_not_heard_of) {
  const std::map<NodeId, Follower> followers{{two, acknowledged(7)}};
  BOOST_TEST(high_watermark({Offset{2}, Offset{9}, 1}, one, {one, two, three}, followers).value() ==
             2);
}

BOOST_AUTO_TEST_CASE(the_watermark_stands_still_below_min_insync_replicas) {
  BOOST_TEST(high_watermark({Offset{2}, Offset{9}, 2}, one, {one}, {}).value() == 2);
  BOOST_TEST(high_watermark({Offset{2}, Offset{9}, 1}, one, {one}, {}).value() == 9);
}

BOOST_AUTO_TEST_CASE(the_watermark_never_goes_back_and_never_passes_a_member) {
  Prng prng(11);
  for (int round = 0; round < 2000; ++round) {
    std::map<NodeId, Follower> followers;
    std::vector<NodeId> members{one};
    std::int64_t least = prng.between(0, 20);
    const Watermark before{Offset{prng.between(0, 20)}, Offset{least},
                           static_cast<std::size_t>(prng.between(1, 3))};
    for (NodeId follower : {two, three}) {
      followers[follower] = acknowledged(prng.between(-1, 20));
      if (!prng.chance(0.7)) continue;
      members.push_back(follower);
      least = std::min(least, followers[follower].acknowledged.value());
    }
    const Offset after = high_watermark(before, one, members, followers);
    BOOST_TEST(after >= before.current);
    BOOST_TEST((after == before.current || after.value() == least));
  }
}

BOOST_AUTO_TEST_CASE(a_follower_that_asks_for_what_was_the_end_last_time_was_caught_up_then) {
  Follower follower;
  note_fetch(follower, Offset{5}, Offset{8}, start + milliseconds(100));
  BOOST_TEST((follower.caught_up_at == start));
  note_fetch(follower, Offset{8}, Offset{12}, start + milliseconds(200));
  BOOST_TEST((follower.caught_up_at == start + milliseconds(100)));
  note_fetch(follower, Offset{12}, Offset{12}, start + milliseconds(300));
  BOOST_TEST((follower.caught_up_at == start + milliseconds(300)));
}

BOOST_AUTO_TEST_CASE(only_a_follower_that_lags_for_too_long_leaves) {
  std::map<NodeId, Follower> followers{{two, acknowledged(8)}, {three, acknowledged(5)}};
  followers[two].caught_up_at = start;
  followers[three].caught_up_at = start;
  const auto shrunk = [&](Duration now) {
    return shrunk_isr(one, {one, two, three}, followers, Offset{8}, start + now,
                      milliseconds(1000));
  };
  BOOST_TEST(!shrunk(milliseconds(1000)).has_value());
  BOOST_REQUIRE(shrunk(milliseconds(1001)).has_value());
  // Two has everything: however long it has not fetched, there is nothing that it lacks.
  BOOST_TEST((*shrunk(milliseconds(1001)) == std::vector<NodeId>{one, two}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::replication
