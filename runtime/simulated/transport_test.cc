#include "runtime/transport.h"

#include <boost/test/unit_test.hpp>

#include "runtime/async.h"
#include "runtime/simulated/run.h"

namespace qlab::runtime {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr NodeId one{1};
constexpr NodeId two{2};

// Writes down all it hears, in one line per node that outlives the node's crashes.
struct Notes final : TransportHandler {
  void on_message(NodeId from, LinkEpoch link, Channel, Bytes payload) override {
    text += fmt::format("{}.{}:{} ", from, link, as_text(payload));
  }
  void on_link_up(NodeId peer, LinkEpoch link) override {
    text += fmt::format("up{}.{} ", peer, link);
  }
  void on_link_down(NodeId peer, LinkEpoch link) override {
    text += fmt::format("down{}.{} ", peer, link);
  }
  std::string take() { return std::exchange(text, {}); }
  std::string text;
};

struct Links {
  explicit Links(std::uint64_t seed = 1) : world(seed) {}

  void start(NodeId id, std::map<NodeId, Endpoint> peers, std::string cluster = "c") {
    const auto started = run(
        world, id,
        world.node(id).transport().start(
            {id, std::move(cluster), {"localhost", 9192}, std::move(peers)}, notes[id], nullptr));
    BOOST_REQUIRE(started.has_value());
  }
  void start_both() {
    start(one, {{two, {"node-2", 9192}}});
    start(two, {});
    world.run_for(seconds(1));
  }
  bool send(NodeId from, NodeId to, std::string_view text) {
    const ByteView bytes = as_view(text);
    return world.node(from).transport().send(to, Channel::metadata_consensus,
                                             Bytes(bytes.begin(), bytes.end()));
  }

  SimulatedWorld world;
  std::map<NodeId, Notes> notes;
};

BOOST_FIXTURE_TEST_SUITE(simulated_transport, Links)

BOOST_AUTO_TEST_CASE(a_peer_that_connects_is_linked_back) {
  BOOST_TEST(!send(one, two, "x"));
  start_both();
  BOOST_TEST(notes[one].take() == "up2.1 ");
  BOOST_TEST(notes[two].take() == "up1.1 ");
  BOOST_TEST(send(one, two, "hello"));
  BOOST_TEST(send(two, one, "there"));
  world.run_for(seconds(1));
  BOOST_TEST(notes[one].take() == "2.1:there ");
  BOOST_TEST(notes[two].take() == "1.1:hello ");
}

BOOST_AUTO_TEST_CASE(messages_arrive_in_the_order_in_which_they_were_sent) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    Links w(seed);
    w.start_both();
    w.notes[two].take();
    std::string expected;
    for (int i = 0; i < 50; ++i) {
      BOOST_REQUIRE(w.send(one, two, std::to_string(i)));
      expected += fmt::format("1.1:{} ", i);
      w.world.run_for(milliseconds(1) / 10);
    }
    w.world.run_for(seconds(1));
    BOOST_TEST(w.notes[two].take() == expected, "seed " << seed);
  }
}

BOOST_AUTO_TEST_CASE(a_break_loses_a_suffix_and_the_next_link_has_the_next_epoch) {
  bool lost = false;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Links w(seed);
    w.start_both();
    w.notes[one].take();
    w.notes[two].take();
    std::string all;
    for (int i = 0; i < 5; ++i) {
      BOOST_REQUIRE(w.send(one, two, std::to_string(i)));
      all += fmt::format("1.1:{} ", i);
    }
    w.world.node(one).transport().close_link(two);
    BOOST_TEST(!w.send(one, two, "lost"));
    w.world.run_for(seconds(1));
    BOOST_TEST(w.notes[one].take() == "down2.1 up2.2 ");
    BOOST_REQUIRE(w.send(one, two, "again"));
    w.world.run_for(seconds(1));
    const std::string got = w.notes[two].take();
    const std::string tail = "1.2:again ";
    BOOST_REQUIRE(got.ends_with(tail));
    const std::string survived = got.substr(0, got.size() - tail.size());
    BOOST_TEST(all.starts_with(survived), "seed " << seed << " got " << got);
    lost = lost || survived != all;
  }
  BOOST_TEST(lost);
}

BOOST_AUTO_TEST_CASE(a_crash_is_told_to_peers_who_link_anew_when_the_node_is_back) {
  start_both();
  notes[one].take();
  notes[two].take();
  world.crash(two);
  world.run_for(seconds(1));
  BOOST_TEST(notes[one].take() == "down2.1 ");
  BOOST_TEST(!send(one, two, "x"));
  BOOST_TEST(notes[two].take().empty());
  world.boot(two, nullptr);
  start(two, {});
  world.run_for(seconds(1));
  BOOST_TEST(notes[one].take() == "up2.2 ");
  BOOST_TEST(notes[two].take() == "up1.1 ");
}

BOOST_AUTO_TEST_CASE(a_link_of_an_earlier_life_is_none_of_the_next_ones_business) {
  start_both();
  notes[one].take();
  // What is on its way to a blocked peer keeps the old link alive beyond the restart.
  world.fabric().block(one, two);
  for (int i = 0; i < 20; ++i) BOOST_REQUIRE(send(one, two, "x"));
  world.restart(one, nullptr);
  start(one, {});
  world.run_for(seconds(1));
  BOOST_TEST(notes[one].take().empty());
}

BOOST_AUTO_TEST_CASE(a_silent_crash_is_heard_of_only_after_a_while) {
  start_both();
  notes[one].take();
  world.crash(two, {.silent = true});
  world.run_for(seconds(4));
  BOOST_TEST(notes[one].take().empty());
  BOOST_TEST(send(one, two, "into the void"));
  world.run_for(seconds(2));
  BOOST_TEST(notes[one].take() == "down2.1 ");
}

BOOST_AUTO_TEST_CASE(a_paused_node_gets_nothing_until_it_resumes_and_then_all) {
  start_both();
  notes[one].take();
  notes[two].take();
  world.pause(two);
  BOOST_REQUIRE(send(one, two, "a"));
  BOOST_REQUIRE(send(one, two, "b"));
  bool fired = false;
  world.node(two).call_at(world.node(two).now() + milliseconds(1), [&] { fired = true; });
  world.run_for(seconds(3));
  BOOST_TEST(notes[two].take().empty());
  BOOST_TEST(notes[one].take().empty());
  BOOST_TEST(!fired);
  world.resume(two);
  world.run_for(milliseconds(1));
  BOOST_TEST(notes[two].take() == "1.1:a 1.1:b ");
  BOOST_TEST(fired);
}

BOOST_AUTO_TEST_CASE(a_one_way_partition_holds_back_one_direction) {
  start_both();
  notes[one].take();
  notes[two].take();
  world.fabric().block(one, two);
  BOOST_REQUIRE(send(one, two, "held"));
  BOOST_REQUIRE(send(two, one, "through"));
  world.run_for(seconds(2));
  BOOST_TEST(notes[one].take() == "2.1:through ");
  BOOST_TEST(notes[two].take().empty());
  world.fabric().unblock(one, two);
  world.run_for(milliseconds(1));
  BOOST_TEST(notes[two].take() == "1.1:held ");
  world.fabric().block(one, two);
  world.run_for(seconds(6));
  BOOST_TEST(notes[one].take() == "down2.1 ");
  BOOST_TEST(notes[two].take() == "down1.1 ");
  world.fabric().heal();
  world.run_for(seconds(1));
  BOOST_TEST(notes[one].take() == "up2.2 ");
}

BOOST_AUTO_TEST_CASE(a_stopped_transport_calls_nobody_and_lets_its_last_words_arrive) {
  start_both();
  notes[one].take();
  notes[two].take();
  BOOST_REQUIRE(send(one, two, "bye"));
  run(world, one, world.node(one).transport().stop());
  world.run_for(seconds(1));
  BOOST_TEST(notes[one].take().empty());
  BOOST_TEST(notes[two].take() == "1.1:bye down1.1 ");
  start(one, {});
  world.run_for(seconds(1));
  BOOST_TEST(notes[two].take() == "up1.2 ");
  BOOST_TEST(notes[one].take() == "up2.1 ");
}

BOOST_AUTO_TEST_CASE(a_node_of_another_cluster_is_refused_and_both_say_so) {
  start(one, {{two, {"node-2", 9192}}});
  start(two, {}, "another");
  world.run_for(seconds(1));
  BOOST_TEST(notes[one].take().empty());
  BOOST_TEST(notes[two].take().empty());
  const std::string trace = world.recent_trace();
  BOOST_TEST(trace.find(R"("node":1,"event":"link_refused","peer":2)") != std::string::npos);
  BOOST_TEST(trace.find(R"("node":2,"event":"link_refused","peer":1)") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_call_is_answered_by_whoever_started_the_transport) {
  auto& transport = world.node(one).transport();
  BOOST_TEST((run(world, one, transport.call("m", "r")).error().code == Errc::closed));
  const auto answer = [](std::string method, std::string request) -> Task<Result<std::string>> {
    co_return method + "(" + request + ")";
  };
  BOOST_REQUIRE(
      run(world, one, transport.start({one, "c", {"localhost", 0}, {}}, notes[one], answer))
          .has_value());
  BOOST_TEST(transport.bound().to_string() == "node-1:32768");
  BOOST_TEST(*run(world, one, transport.call("Status", "x")) == "Status(x)");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::runtime
