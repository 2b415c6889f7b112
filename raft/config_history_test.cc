#include "raft/config_history.h"

#include <boost/test/unit_test.hpp>

#include "common/prng.h"

namespace qlab::raft {
namespace {

using consensus::Config;
using consensus::LogId;

Config config(int id) {
  return Config{{{NodeId{id}}}, {}, 0, 0};
}

BOOST_AUTO_TEST_SUITE(raft_config_history)

// The naive twin: a list of all there ever was.
BOOST_AUTO_TEST_CASE(what_is_in_force_is_the_last_one_that_is_left) {
  Prng random(5);
  for (int round = 0; round < 200; ++round) {
    ConfigHistory history(config(0), LogId{});
    std::map<LogIndex, Config> naive{{LogIndex{0}, config(0)}};
    LogIndex end{0};
    for (int step = 1; step < 60; ++step) {
      const LogIndex base = naive.begin()->first;
      if (random.chance(0.6)) {
        end = LogIndex{end.value() + 1 + static_cast<std::int64_t>(random.below(3))};
        history.append({Epoch{1}, end}, config(step));
        naive[end] = config(step);
      } else if (random.chance(0.5) && end > base) {
        end = LogIndex{random.between(base.value(), end.value() - 1)};
        history.truncate(end.next());
        naive.erase(naive.upper_bound(end), naive.end());
      } else {
        // An image of some entry: with its log behind it, or in the place of all.
        const bool stays = random.chance(0.7);
        const LogIndex last{stays ? random.between(base.value(), end.value())
                                  : end.value() + random.between(0, 3)};
        const Config in_force = std::prev(naive.upper_bound(last))->second;
        history.install({Epoch{1}, last}, in_force, stays);
        naive.erase(naive.begin(), naive.upper_bound(last));
        if (!stays) naive.clear();
        naive[last] = in_force;
        end = std::max(end, last);
      }
      BOOST_REQUIRE((history.active() == naive.rbegin()->second));
      BOOST_REQUIRE((history.active_at().index == naive.rbegin()->first));
      const auto before = naive.size() > 1 ? std::next(naive.rbegin()) : naive.rbegin();
      BOOST_REQUIRE((history.previous() == before->second));
      for (LogIndex index = naive.begin()->first; index <= end; index = index.next()) {
        BOOST_REQUIRE((history.at(index) == std::prev(naive.upper_bound(index))->second));
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::raft
