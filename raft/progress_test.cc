#include "raft/progress.h"

#include <boost/test/unit_test.hpp>

#include "common/prng.h"

namespace qlab::raft {
namespace {

constexpr DirectoryId disk{1, 1};

Time at(std::int64_t millis) {
  return Time{} + std::chrono::milliseconds(millis);
}

Progress replicating(LogIndex match) {
  Progress progress(match.next(), at(0));
  progress.heard_from(disk, match.next(), at(0));
  progress.accepted(match, at(0));
  return progress;
}

BOOST_AUTO_TEST_SUITE(raft_progress)

BOOST_AUTO_TEST_CASE(bytes_on_the_way_are_those_of_unanswered_appends_whatever_happens) {
  Prng random(11);
  consensus::Tuning tuning;
  tuning.inflight_messages_max = 5;
  tuning.inflight_bytes_max = 20;
  Progress progress = replicating(LogIndex{10});
  std::map<LogIndex, std::size_t> sent;  // By the last index.
  for (int step = 0; step < 20'000; ++step) {
    const auto what = random.below(10);
    if (what < 6 && !progress.is_paused(tuning)) {
      const std::size_t bytes = random.below(9);
      const LogIndex last = progress.next();
      progress.sent_up_to(last, bytes, at(step));
      if (progress.phase() == Progress::Phase::replicate) sent[last] = bytes;
    } else if (what < 9) {
      const LogIndex match = sent.empty() ? progress.next().prev() : sent.begin()->first;
      progress.accepted(match, at(step));
      sent.erase(sent.begin(), sent.upper_bound(match));
    } else if (random.chance(0.3)) {
      progress.restart();
      sent.clear();
    } else if (random.chance(0.1)) {
      progress.begin_snapshot({Epoch{1}, progress.match().next()});
      sent.clear();
      progress.accepted(progress.image().index, at(step));
    }
    std::size_t bytes = 0;
    for (const auto& [last, size] : sent) bytes += size;
    BOOST_REQUIRE(progress.inflight_bytes() == bytes);
    BOOST_REQUIRE(progress.inflight() == sent.size());
  }
}

BOOST_AUTO_TEST_CASE(a_stale_refusal_changes_nothing) {
  Progress progress = replicating(LogIndex{10});
  BOOST_TEST(!progress.refused(LogIndex{10}, LogIndex{3}));
  BOOST_TEST((progress.next() == LogIndex{11}));
  Progress probing(LogIndex{20}, at(0));
  BOOST_TEST(!probing.refused(LogIndex{15}, LogIndex{3}));
  BOOST_TEST(probing.refused(LogIndex{19}, LogIndex{3}));
  BOOST_TEST((probing.next() == LogIndex{4}));
}

BOOST_AUTO_TEST_CASE(another_disk_has_nothing_of_ours) {
  Progress progress = replicating(LogIndex{10});
  progress.acknowledge_round(7);
  BOOST_TEST(!progress.heard_from({2, 2}, LogIndex{11}, at(1)));
  BOOST_TEST((progress.match() == LogIndex{0}));
  BOOST_TEST(progress.round() == 0u);
  BOOST_TEST((progress.phase() == Progress::Phase::probe));
}

BOOST_AUTO_TEST_CASE(after_a_break_nothing_is_confirmed_until_the_peer_answers) {
  Progress progress = replicating(LogIndex{10});
  BOOST_TEST((progress.confirmed() == LogIndex{10}));
  progress.restart();
  BOOST_TEST((progress.confirmed() == LogIndex{0}));
  BOOST_TEST((progress.match() == LogIndex{10}));
  progress.heard_from(disk, LogIndex{11}, at(1));
  BOOST_TEST((progress.confirmed() == LogIndex{10}));
}

BOOST_AUTO_TEST_CASE(a_piece_is_asked_for_once_and_again_when_nothing_moves) {
  Progress progress = replicating(LogIndex{10});
  progress.begin_snapshot({Epoch{1}, LogIndex{20}});
  BOOST_TEST(progress.wants_piece(0));
  BOOST_TEST(!progress.wants_piece(0));
  progress.piece_sent();
  BOOST_TEST(!progress.wants_piece(0));  // It is on its way.
  BOOST_TEST(!progress.snapshot_stalls());
  BOOST_TEST(progress.snapshot_stalls());
  BOOST_TEST(progress.wants_piece(0));
  BOOST_TEST(!progress.snapshot_stalls());  // The disk is slow, not the link.
  BOOST_TEST(!progress.snapshot_stalls());
  progress.piece_gone();
  BOOST_TEST(!progress.wants_piece(4));
  BOOST_TEST(progress.image_is_gone());
}

BOOST_AUTO_TEST_CASE(an_acknowledgement_from_before_an_image_does_not_end_its_transfer) {
  Progress progress = replicating(LogIndex{10});
  progress.begin_snapshot({Epoch{1}, LogIndex{20}});
  progress.accepted(LogIndex{12}, at(1));
  BOOST_TEST((progress.phase() == Progress::Phase::snapshot));
  progress.accepted(LogIndex{20}, at(1));
  BOOST_TEST((progress.phase() == Progress::Phase::replicate));
  BOOST_TEST((progress.next() == LogIndex{21}));
}

BOOST_AUTO_TEST_CASE(who_acknowledges_nothing_of_what_it_got_does_not_keep_up) {
  Progress progress = replicating(LogIndex{10});
  progress.heard_from(disk, LogIndex{11}, at(5000));
  BOOST_TEST(progress.keeps_up(at(4000)));  // It has all there is.
  progress.sent_up_to(LogIndex{11}, 1, at(5000));
  BOOST_TEST(progress.keeps_up(at(4000)));
  progress.heard_from(disk, LogIndex{11}, at(9000));
  BOOST_TEST(!progress.keeps_up(at(8000)));  // It answers heartbeats, and its disk hangs.
  progress.accepted(LogIndex{11}, at(9000));
  BOOST_TEST(progress.keeps_up(at(8000)));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::raft
