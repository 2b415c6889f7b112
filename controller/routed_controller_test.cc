// How long a call waits for one who decides: no longer than there is none.

#include "controller/routed_controller.h"

#include <boost/test/unit_test.hpp>

#include "controller/quorum/local_controller.h"
#include "controller/serve_call.h"
#include "runtime/simulated/run.h"

namespace qlab::controller {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr NodeId self{1};

// A node that hears of leaders, and answers calls once it is one.
struct Bench {
  runtime::SimulatedWorld world{1};
  runtime::SimulatedNode& node{world.node(self)};
  metadata::Publisher publisher;
  MetadataMachine machine{publisher, nullptr, [](const Error& e) { BOOST_ERROR(e.message()); }};
  LocalController local{self, machine, nullptr};
  int asked = 0;
  bool decides = false;
  CallRouter router{node, self, [this](std::int16_t, Bytes) { return serve(); }};
  RoutedController routed{node, router, local};

  Bench() {
    machine.on_change_of_leader([this] { routed.leader_changed(); });
  }
  ~Bench() { runtime::run(world, self, router.stop()); }

  Task<Result<Bytes>> serve() {
    ++asked;
    if (!decides) co_return fail(Errc::not_leader, "it does not decide yet");
    co_return encode_deletion({});
  }
  auto begin_call() {
    auto call = routed.administer(wire::ApiKey::alter_configs, {}, world.now() + seconds(5));
    return runtime::begin(world, self, std::move(call));
  }
};

BOOST_AUTO_TEST_SUITE(routed_controller)

BOOST_AUTO_TEST_CASE(a_call_that_waits_goes_on_as_soon_as_somebody_decides) {
  Bench bench;
  const auto call = bench.begin_call();
  bench.world.run_for(milliseconds(333));
  BOOST_TEST(bench.asked == 0);
  bench.decides = true;
  bench.machine.on_leader_known(Epoch{1}, self);
  bench.world.run_for(Duration{});
  BOOST_TEST(call->value.has_value());
}

BOOST_AUTO_TEST_CASE(who_leads_and_does_not_decide_yet_is_asked_again_soon_and_ever_later) {
  Bench bench;
  bench.world.run_for(seconds(1));
  bench.machine.on_leader_known(Epoch{1}, self);
  const auto call = bench.begin_call();
  bench.world.run_for(milliseconds(4));
  BOOST_TEST(bench.asked == 3);  // At 0, 1 and 3 ms.
  bench.world.run_for(milliseconds(396));
  BOOST_TEST(bench.asked < 30);
  // Its own activation is heard of here.
  bench.decides = true;
  bench.machine.activate(Epoch{1});
  bench.world.run_for(Duration{});
  BOOST_TEST(call->value.has_value());
}

BOOST_AUTO_TEST_CASE(a_call_ends_with_its_deadline_when_nobody_decides) {
  Bench bench;
  const Time begun = bench.world.now();
  const auto call = bench.begin_call();
  bench.world.run_for(seconds(6));
  BOOST_REQUIRE(call->value.has_value());
  BOOST_TEST((call->value->error().code == Errc::timed_out));
  BOOST_TEST((bench.world.now() - begun >= seconds(5)));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::controller
