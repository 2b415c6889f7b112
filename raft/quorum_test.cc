#include "raft/quorum.h"

#include <boost/test/unit_test.hpp>

#include "common/prng.h"

namespace qlab::raft {
namespace {

BOOST_AUTO_TEST_SUITE(raft_quorum)

BOOST_AUTO_TEST_CASE(two_majorities_of_a_group_always_share_a_member) {
  for (std::size_t voters = 1; voters <= 9; ++voters) {
    BOOST_TEST(2 * majority(voters) > voters);
    BOOST_TEST(2 * (majority(voters) - 1) <= voters);
  }
}

BOOST_AUTO_TEST_CASE(what_a_majority_has_reached_is_what_counting_says) {
  Prng random(7);
  for (int round = 0; round < 5000; ++round) {
    std::vector<int> values(1 + random.below(9));
    for (int& value : values) value = static_cast<int>(random.below(12));
    int naive = -1;
    for (int candidate = 0; candidate < 12; ++candidate) {
      std::size_t have = 0;
      for (const int value : values) have += value >= candidate ? 1 : 0;
      if (2 * have > values.size()) naive = candidate;
    }
    BOOST_TEST(reached_by_majority(values) == naive);
  }
}

BOOST_AUTO_TEST_CASE(a_tally_is_open_until_no_answer_can_turn_it) {
  for (std::size_t voters = 1; voters <= 7; ++voters) {
    for (std::size_t yes = 0; yes <= voters; ++yes) {
      for (std::size_t no = 0; yes + no <= voters; ++no) {
        const bool won = 2 * yes > voters;
        const bool could_win = 2 * (voters - no) > voters;
        const Tally naive = won ? Tally::won : could_win ? Tally::open : Tally::lost;
        BOOST_TEST((tally(voters, yes, no) == naive));
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::raft
