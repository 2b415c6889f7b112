#include "replication/turns.h"

#include <boost/test/unit_test.hpp>

#include "runtime/simulated/run.h"

namespace qlab::replication {
namespace {

constexpr NodeId node{1};

struct Fixture {
  runtime::SimulatedWorld world{1};
  Turns turns{world.node(node)};

  static runtime::Task<void> take(Turns& turns, std::size_t replicas, bool at_ease) {
    for (std::size_t i = 0; i < replicas; ++i) co_await turns.take(at_ease);
  }
  // How long so many workers need for so many replicas each.
  Duration time_of(std::size_t workers, std::size_t replicas, bool at_ease) {
    const Time begun_at = world.node(node).now();
    std::vector<std::shared_ptr<runtime::TaskOutcome<void>>> begun;
    for (std::size_t i = 0; i < workers; ++i) {
      begun.push_back(runtime::begin(world, node, take(turns, replicas, at_ease)));
    }
    const auto all_ended = [&begun] {
      return std::ranges::all_of(begun, [](const auto& b) { return b->value.has_value(); });
    };
    BOOST_REQUIRE(world.run_until(all_ended, std::chrono::seconds(10)).has_value());
    return world.node(node).now() - begun_at;
  }
};

BOOST_FIXTURE_TEST_SUITE(turns, Fixture)

BOOST_AUTO_TEST_CASE(who_makes_haste_gives_turns_and_never_rests) {
  BOOST_TEST((time_of(1, 1000, false) < Turns::rest));
}

BOOST_AUTO_TEST_CASE(who_works_at_ease_rests_every_so_many) {
  BOOST_TEST((time_of(1, Turns::calls_between_rests - 1, true) < Turns::rest));
  const Duration time = time_of(1, 4 * Turns::calls_between_rests, true);
  BOOST_TEST((time >= 4 * Turns::rest));
  BOOST_TEST((time < 5 * Turns::rest));
}

BOOST_AUTO_TEST_CASE(those_who_work_side_by_side_rest_together) {
  const Duration time = time_of(8, 4 * Turns::calls_between_rests, true);
  BOOST_TEST((time >= 16 * Turns::rest));
  BOOST_TEST((time <= 33 * Turns::rest));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::replication
