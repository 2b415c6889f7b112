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
    return high_watermark({Offset{2}, Offset{leader}, 1, 1}, one, isr, followers).value();
  };
  BOOST_TEST(mark(9, {one, two, three}) == 5);
  BOOST_TEST(mark(9, {one, two}) == 7);
  BOOST_TEST(mark(4, {one, two, three}) == 4);
  BOOST_TEST(mark(9, {one}) == 9);
}

BOOST_AUTO_TEST_CASE(the_watermark_waits_for_a_member_that_was_not_heard_of) {
  const std::map<NodeId, Follower> followers{{two, acknowledged(7)}};
  BOOST_TEST(
      high_watermark({Offset{2}, Offset{9}, 1, 3}, one, {one, two, three}, followers).value() == 2);
}

BOOST_AUTO_TEST_CASE(the_watermark_stands_still_below_min_insync_replicas) {
  BOOST_TEST(high_watermark({Offset{2}, Offset{9}, 2, 1}, one, {one}, {}).value() == 2);
  BOOST_TEST(high_watermark({Offset{2}, Offset{9}, 1, 1}, one, {one}, {}).value() == 9);
}

BOOST_AUTO_TEST_CASE(a_member_that_was_only_asked_for_does_not_count_for_min_insync_replicas) {
  const std::map<NodeId, Follower> followers{{two, acknowledged(9)}};
  const auto mark = [&](std::size_t committed) {
    return high_watermark({Offset{2}, Offset{9}, 2, committed}, one, {one, two}, followers).value();
  };
  BOOST_TEST(mark(1) == 2);
  BOOST_TEST(mark(2) == 9);
}

BOOST_AUTO_TEST_CASE(the_watermark_never_goes_back_and_never_passes_a_member) {
  Prng prng(11);
  for (int round = 0; round < 2000; ++round) {
    std::map<NodeId, Follower> followers;
    std::vector<NodeId> members{one};
    std::int64_t least = prng.between(0, 20);
    const Watermark before{Offset{prng.between(0, 20)}, Offset{least},
                           static_cast<std::size_t>(prng.between(1, 3)),
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

BOOST_AUTO_TEST_CASE(who_had_everything_had_it_until_the_log_went_on) {
  Follower follower = acknowledged(8);
  note_append(follower, Offset{8}, start + milliseconds(900));
  BOOST_TEST((follower.caught_up_at == start + milliseconds(900)));
  note_append(follower, Offset{9}, start + milliseconds(950));
  BOOST_TEST((follower.caught_up_at == start + milliseconds(900)));
}

BOOST_AUTO_TEST_CASE(a_consumer_reads_from_the_nearest_replica_in_sync_that_has_its_offset) {
  std::map<NodeId, Follower> followers{{two, acknowledged(7)}, {three, acknowledged(9)}};
  for (auto& [node, follower] : followers) follower.log_start = Offset{2};
  const auto closest = [&](std::vector<NodeId> isr, std::vector<NodeId> near, std::int64_t offset) {
    return closest_replica(one, isr, followers, near, Offset{offset}).value_or(no_node).value();
  };
  const std::vector<NodeId> all{one, two, three};
  BOOST_TEST(closest(all, {two}, 5) == 2);
  BOOST_TEST(closest(all, {two, three}, 5) == 3, "the one that has most");
  BOOST_TEST(closest({one, two}, {two, three}, 5) == 2, "three is not in sync");
  BOOST_TEST(closest(all, {two}, 8) == -1, "two does not have it yet");
  BOOST_TEST(closest(all, {two}, 1) == -1, "two has it no more");
  BOOST_TEST(closest(all, {one, two}, 5) == -1, "the leader is as near");
  BOOST_TEST(closest(all, {}, 5) == -1);
}

// A log as the epochs of its records; what lies before `begin` was deleted.
struct Epochs {
  std::size_t begin = 0;
  std::vector<std::int32_t> of;  // By offset.

  Offset end() const { return Offset{static_cast<std::int64_t>(of.size())}; }
  LeaderEpoch last() const { return LeaderEpoch{of.empty() ? -1 : of.back()}; }
  // As storage::EpochCache: it knows the epochs from that of `begin` on.
  storage::EpochEnd end_of(LeaderEpoch epoch) const {
    storage::EpochEnd found{no_leader_epoch, end()};
    bool is_known = false;
    for (std::size_t at = std::min(begin, of.size() - (of.empty() ? 0 : 1)); at < of.size(); ++at) {
      if (of[at] <= epoch.value()) {
        found = {LeaderEpoch{of[at]}, end()};
        is_known = true;
        continue;
      }
      found.end = Offset{static_cast<std::int64_t>(at)};
      break;
    }
    if (!is_known) found.epoch = no_leader_epoch;
    return found;
  }
};

BOOST_AUTO_TEST_CASE(a_follower_goes_back_to_what_it_has_in_common_with_its_leader) {
  Prng prng(3);
  for (int round = 0; round < 20'000; ++round) {
    // Both go on from a common past with epochs of their own: no epoch has two writers.
    Epochs leader;
    Epochs follower;
    std::int32_t epoch = 0;
    const auto grow = [&](Epochs& log, std::int64_t most) {
      for (std::int64_t left = prng.between(0, most); left > 0; --left) {
        if (prng.chance(0.4)) ++epoch;
        log.of.push_back(epoch);
      }
    };
    grow(leader, 8);
    follower = leader;
    const auto common = static_cast<std::int64_t>(leader.of.size());
    for (int turn = 0; turn < 2; ++turn) {
      ++epoch;
      // The one that leads an epoch writes all of it.
      grow(prng.chance(0.5) ? leader : follower, 4);
    }
    ++epoch;
    grow(leader, 3);
    if (!leader.of.empty() && prng.chance(0.3)) {
      leader.begin = prng.below(static_cast<std::uint64_t>(common) + 1);
    }
    int asked = 0;
    while (follower.last() != no_leader_epoch) {
      const auto cut = divergence(leader.end_of(follower.last()), follower.last(), follower.end());
      if (!cut) break;
      const Offset to = common_end(follower.end_of(cut->epoch), *cut);
      BOOST_REQUIRE(to < follower.end());
      follower.of.resize(static_cast<std::size_t>(to.value()));
      BOOST_REQUIRE(++asked <= 8);
    }
    const bool is_prefix = follower.of.size() <= leader.of.size() &&
                           std::equal(follower.of.begin(), follower.of.end(), leader.of.begin());
    BOOST_TEST_REQUIRE(is_prefix, "round " << round);
    BOOST_TEST_REQUIRE(follower.end().value() >= common, "round " << round);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::replication
