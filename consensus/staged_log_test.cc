#include "consensus/staged_log.h"

#include <boost/test/unit_test.hpp>

#include "common/prng.h"
#include "consensus/entry_log.h"

namespace qlab::consensus {
namespace {

Entry entry(Epoch epoch, LogIndex index, std::size_t bytes) {
  return {{epoch, index}, EntryKind::data, std::make_shared<const Bytes>(bytes)};
}

BOOST_AUTO_TEST_SUITE(staged_log)

BOOST_AUTO_TEST_CASE(a_step_sees_the_log_as_it_will_be_after_it) {
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Prng random(seed);
      EntryLog base;
      EntryLog after;
      Epoch epoch{1};
      const auto grow = [&](EntryLog& log) {
        epoch = random.chance(0.3) ? epoch.plus(random.between(1, 2)) : epoch;
        const Entry next = entry(epoch, log.last().index.next(), random.below(5));
        log.append(next);
        return next;
      };
      for (std::uint64_t i = random.below(8); i > 0; --i) base.append(grow(after));
      StagedLog staged(base);
      const std::int64_t last = base.last().index.value();
      if (random.chance(0.3)) {
        const LogIndex at{random.between(1, last + 2)};
        const LogId image{base.epoch_of(at).value_or(epoch), at};
        // Sometimes of another history.
        const LogId other{random.chance(0.5) ? image.epoch : epoch.next(), at};
        staged.install(other);
        after.install(SnapshotMeta{.last = other, .config = {}});
        epoch = std::max(epoch, after.last().epoch);
      } else if (last > 0 && random.chance(0.5)) {
        const LogIndex from{random.between(1, last)};
        staged.truncate(from);
        after.truncate(from);
      }
      for (std::uint64_t i = random.below(4); i > 0; --i) staged.append({grow(after)});

      BOOST_TEST((staged.last() == after.last()));
      for (std::int64_t i = 0; i < 14; ++i) {
        BOOST_TEST((staged.epoch_of(LogIndex{i}) == after.epoch_of(LogIndex{i})));
        BOOST_TEST((staged.end_of_epoch(Epoch{i}) == after.end_of_epoch(Epoch{i})));
        if (LogIndex{i} < after.first()) continue;
        const std::size_t bytes_max = random.below(20);
        const auto found = staged.read(LogIndex{i}, bytes_max);
        const auto wanted = after.read(LogIndex{i}, bytes_max);
        BOOST_REQUIRE(found.size() == wanted.size());
        for (std::size_t k = 0; k < found.size(); ++k) BOOST_TEST((found[k].id == wanted[k].id));
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::consensus
