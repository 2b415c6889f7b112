#include "runtime/simulated/world.h"

#include <cerrno>
#include <set>

#include <boost/test/unit_test.hpp>

#include "runtime/async.h"
#include "runtime/simulated/run.h"

namespace qlab::runtime {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Counts its peers' pings on the disk and answers each one when its count is durable.
class Counter final : public TransportHandler {
 public:
  explicit Counter(SimulatedNode& node) : node_(node) {
    gate_.start([this] { return serve(); });
  }

  void on_message(NodeId from, LinkEpoch, Channel, Bytes) override {
    pings_.push_back(from);
    arrived_.notify_all();
  }
  void on_link_up(NodeId peer, LinkEpoch link) override {
    node_.trace().emit("link_up", {{"peer", peer.value()}, {"link", link.value()}});
    ping(peer);
  }
  void on_link_down(NodeId peer, LinkEpoch) override {
    node_.trace().emit("link_down", {{"peer", peer.value()}});
  }

 private:
  void ping(NodeId peer) { node_.transport().send(peer, Channel::metadata_consensus, Bytes(8)); }

  Task<void> serve() {
    std::map<NodeId, Endpoint> peers;
    for (int id = 1; id <= 3; ++id) {
      peers[NodeId(id)] = {SimulatedNode::host_name(NodeId(id)), 9192};
    }
    TransportIdentity identity;
    identity.node = node_.id();
    identity.listen = {"localhost", 9192};
    identity.peers = std::move(peers);
    const auto started = co_await node_.transport().start(std::move(identity), *this, nullptr);
    CHECK(started.has_value());
    const OpenOptions options{.create = true};
    auto file = co_await node_.disk().open("count", options);
    while (file) {
      while (pings_.empty()) co_await arrived_.wait();
      const NodeId from = pings_.front();
      pings_.pop_front();
      const std::string line = fmt::format("{}\n", from);
      const auto size = (*file)->size();
      CHECK(size.has_value());
      const auto written =
          co_await (*file)->write_durably(*size, std::vector<ByteView>(1, as_view(line)));
      if (!written) co_return;
      node_.trace().emit("counted",
                         {{"from", from.value()}, {"size", static_cast<std::int64_t>(*size)}});
      ping(from);
    }
  }

  SimulatedNode& node_;
  std::deque<NodeId> pings_;
  Event arrived_{node_};
  Gate gate_{node_};
};

Boot counter(SimulatedWorld& world, NodeId id) {
  return [&world, id](Runtime&) { return std::make_shared<Counter>(world.node(id)); };
}

// Three counters under all faults there are, for ten seconds.
struct Outcome {
  std::uint64_t digest;
  std::uint64_t events;
  std::string trace;
};
Outcome chaos(std::uint64_t seed) {
  SimulatedWorld world(seed, {.clock_offset_max = seconds(1), .clock_drift_max_ppm = 50'000});
  Prng faults = world.random().fork();
  for (int id = 1; id <= 3; ++id) {
    auto& disk = world.node(NodeId(id)).disk();
    disk.set_fault_hook([&faults](const DiskAccess& access) {
      if (access.operation == DiskOperation::sync && faults.chance(0.001))
        return DiskFault{.error = EIO};
      return DiskFault{};
    });
    world.boot(NodeId(id), counter(world, NodeId(id)));
  }
  for (int round = 0; round < 20; ++round) {
    const NodeId victim(static_cast<int>(1 + faults.below(3)));
    const NodeId other(static_cast<int>(1 + faults.below(3)));
    switch (faults.below(5)) {
      case 0:
        world.restart(victim, counter(world, victim),
                      {.lose_unsynced = faults.chance(0.5), .silent = faults.chance(0.5)});
        break;
      case 1:
        world.node(victim).disk().crash_at_change(1 + faults.below(20));
        break;
      case 2:
        world.fabric().block(victim, other);
        break;
      case 3:
        world.fabric().break_between(victim, other);
        break;
      default:
        world.pause(victim);
    }
    world.run_for(milliseconds(faults.between(1, 1000)));
    world.fabric().heal();
    for (int id = 1; id <= 3; ++id) {
      world.resume(NodeId(id));
      if (!world.node(NodeId(id)).is_up()) world.boot(NodeId(id), counter(world, NodeId(id)));
    }
  }
  return {world.digest(), world.events(), world.recent_trace()};
}

BOOST_AUTO_TEST_SUITE(simulated_world)

BOOST_AUTO_TEST_CASE(a_seed_gives_the_same_run_every_time_and_another_seed_another_run) {
  std::set<std::uint64_t> digests;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const Outcome first = chaos(seed);
    const Outcome second = chaos(seed);
    BOOST_TEST(first.digest == second.digest, "seed " << seed);
    BOOST_TEST(first.events == second.events);
    BOOST_TEST(first.trace == second.trace);
    BOOST_TEST(first.events > 1000u);
    BOOST_TEST(first.trace.find("\"counted\"") != std::string::npos);
    digests.insert(first.digest);
  }
  BOOST_TEST(digests.size() == 20u);
}

BOOST_AUTO_TEST_CASE(time_stands_still_but_for_events_and_the_ends_of_runs) {
  SimulatedWorld world(1);
  const Time begun = world.now();
  std::vector<Duration> at;
  for (const int ms : {5, 1, 5, 3}) {
    world.after(milliseconds(ms), [&] { at.push_back(world.now() - begun); });
  }
  int observed = 0;
  world.observe([&] { ++observed; });
  world.run_for(milliseconds(4));
  BOOST_TEST((at == std::vector<Duration>{milliseconds(1), milliseconds(3)}));
  BOOST_TEST((world.now() == begun + milliseconds(4)));
  world.run_for(seconds(1));
  BOOST_TEST(at.size() == 4u);
  BOOST_TEST(observed == 4);
}

BOOST_AUTO_TEST_CASE(what_never_comes_is_an_error_that_says_who_waits) {
  SimulatedWorld world(7);
  Event event(world.node(NodeId(1)));
  const auto waiter = begin(world, NodeId(1), event.wait());
  const auto idle = world.run_until([] { return false; }, seconds(1));
  BOOST_REQUIRE(!idle.has_value());
  BOOST_TEST((idle.error().code == Errc::aborted));
  BOOST_TEST(idle.error().context.find("seed 7, node 1: up, 1 coroutines wait") !=
             std::string::npos);
  world.after(seconds(2), [&] { event.notify_all(); });
  BOOST_TEST((world.run_until([] { return false; }, seconds(1)).error().code == Errc::timed_out));
  BOOST_TEST(world.run_until([&] { return waiter->value.has_value(); }, seconds(2)).has_value());
}

BOOST_AUTO_TEST_CASE(clocks_drift_and_a_timer_keeps_the_clock_of_its_node) {
  SimulatedWorld world(3, {.clock_offset_max = seconds(10), .clock_drift_max_ppm = 100'000});
  SimulatedNode& fast = world.node(NodeId(1));
  SimulatedNode& slow = world.node(NodeId(2));
  BOOST_TEST((fast.now() != slow.now()));
  for (SimulatedNode* node : {&fast, &slow}) {
    const Time due = node->now() + seconds(1);
    Time fired{};
    node->call_at(due, [&] { fired = node->now(); });
    world.run_for(seconds(2));
    BOOST_TEST((fired >= due));
    BOOST_TEST((fired < due + std::chrono::microseconds(1)));
  }
  const Duration elapsed_fast = fast.now().time_since_epoch();
  world.run_for(seconds(100));
  const Duration hundred = fast.now().time_since_epoch() - elapsed_fast;
  BOOST_TEST((hundred != seconds(100)));
  BOOST_TEST((hundred > seconds(90)));
  BOOST_TEST((hundred < seconds(110)));
}

BOOST_AUTO_TEST_CASE(nodes_do_not_disturb_each_others_randomness) {
  SimulatedWorld alone(5);
  SimulatedWorld together(5);
  together.node(NodeId(1)).random().next();
  BOOST_TEST(alone.node(NodeId(2)).random().next() == together.node(NodeId(2)).random().next());
  BOOST_TEST(alone.node(NodeId(3)).random().next() != alone.node(NodeId(4)).random().next());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::runtime
