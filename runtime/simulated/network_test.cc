#include "runtime/network.h"

#include <boost/test/unit_test.hpp>

#include "runtime/async.h"
#include "runtime/simulated/run.h"

namespace qlab::runtime {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr NodeId server{1};
constexpr NodeId client{2};

struct TwoNodes {
  explicit TwoNodes(std::uint64_t seed = 1) : world(seed) {
    listener = *run(world, server, world.node(server).network().listen({"node-1", 9092}));
  }
  // A connection: the client's end and the server's.
  void connect() {
    near = *run(world, client, world.node(client).network().connect({"node-1", 9092}, seconds(1)));
    far = *run(world, server, listener->accept());
  }
  void end_streams() {
    near.reset();
    far.reset();
    listener.reset();
  }

  SimulatedWorld world;
  std::unique_ptr<Listener> listener;
  std::unique_ptr<Stream> near;
  std::unique_ptr<Stream> far;
};

// Reads until the end of the stream.
Task<std::string> drain(Stream& stream) {
  std::string all;
  std::array<std::byte, 1000> buffer;
  for (;;) {
    const auto count = co_await stream.read_some(buffer);
    if (!count) co_return all;
    all += as_text(ByteView(buffer).first(*count));
  }
}

BOOST_FIXTURE_TEST_SUITE(simulated_network, TwoNodes)

BOOST_AUTO_TEST_CASE(a_stream_brings_all_bytes_in_order_and_then_its_end) {
  connect();
  std::string text;
  for (int i = 0; i < 200'000; ++i) text += static_cast<char>('a' + i % 26);
  const auto received = begin(world, server, drain(*far));
  BOOST_TEST(run(world, client, near->write({as_view(text), as_view("end")})).has_value());
  near->close();
  BOOST_TEST(world.run_until([&] { return received->value.has_value(); }, seconds(10)).has_value());
  BOOST_TEST((*received->value == text + "end"));
}

BOOST_AUTO_TEST_CASE(a_writer_waits_for_a_reader_that_is_behind) {
  connect();
  const std::string text(1 << 20, 'x');
  const auto written = begin(world, client, near->write({as_view(text)}));
  world.run_for(seconds(5));
  BOOST_TEST(!written->value.has_value());
  const auto received = begin(world, server, drain(*far));
  world.run_for(seconds(5));
  BOOST_REQUIRE(written->value.has_value());
  near->close();
  world.run_for(seconds(5));
  BOOST_TEST(received->value->size() == text.size());
}

BOOST_AUTO_TEST_CASE(nobody_who_listens_is_a_refusal_and_a_partition_a_timeout) {
  auto& network = world.node(client).network();
  const auto code = [&](Endpoint endpoint) {
    return run(world, client, network.connect(endpoint, seconds(1))).error().code;
  };
  BOOST_TEST((code({"node-1", 1}) == Errc::closed));
  BOOST_TEST((code({"nowhere", 9092}) == Errc::closed));
  world.fabric().block(server, client);
  BOOST_TEST((code({"node-1", 9092}) == Errc::timed_out));
  const auto later = begin(world, client, network.connect({"node-1", 9092}, seconds(1)));
  world.run_for(milliseconds(300));
  world.fabric().heal();
  world.run_for(milliseconds(300));
  BOOST_REQUIRE(later->value.has_value());
  BOOST_TEST(later->value->has_value());
}

BOOST_AUTO_TEST_CASE(a_port_has_one_listener_until_it_closes) {
  auto& network = world.node(server).network();
  BOOST_TEST(
      (run(world, server, network.listen({"localhost", 9092})).error().code == Errc::exists));
  BOOST_TEST((run(world, server, network.listen({"node-2", 1})).error().code == Errc::invalid));
  const auto any = *run(world, server, network.listen({"127.0.0.1", 0}));
  BOOST_TEST(any->local().host == "node-1");
  BOOST_TEST(any->local().port != 0);
  const auto waiting = begin(world, server, listener->accept());
  world.run_for(milliseconds(1));
  listener->close();
  world.run_for(milliseconds(1));
  BOOST_TEST((waiting->value->error().code == Errc::closed));
  BOOST_TEST(run(world, server, network.listen({"node-1", 9092})).has_value());
}

BOOST_AUTO_TEST_CASE(a_break_loses_a_suffix_and_ends_both_sides) {
  bool lost = false;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    TwoNodes w(seed);
    w.connect();
    std::string sent;
    const auto received = begin(w.world, server, drain(*w.far));
    const auto answered = begin(w.world, client, drain(*w.near));
    for (int i = 0; i < 10; ++i) {
      const std::string piece = std::to_string(i) + ";";
      BOOST_REQUIRE(run(w.world, client, w.near->write({as_view(piece)})).has_value());
      sent += piece;
    }
    w.world.run_for(milliseconds(static_cast<int>(seed % 3)) / 4);
    w.world.fabric().break_between(server, client);
    w.world.run_for(seconds(1));
    BOOST_REQUIRE(received->value.has_value());
    BOOST_TEST(answered->value.has_value());
    BOOST_TEST(sent.starts_with(*received->value), "seed " << seed << " got " << *received->value);
    BOOST_TEST((run(w.world, client, w.near->write({as_view("x")})).error().code == Errc::closed));
    lost = lost || *received->value != sent;
  }
  BOOST_TEST(lost);
}

BOOST_AUTO_TEST_CASE(a_partition_holds_bytes_back_and_breaks_the_stream_when_it_lasts) {
  connect();
  const auto received = begin(world, server, drain(*far));
  world.fabric().block(client, server);
  BOOST_REQUIRE(run(world, client, near->write({as_view("held")})).has_value());
  world.run_for(seconds(2));
  world.fabric().heal();
  BOOST_REQUIRE(run(world, client, near->write({as_view(" and brought")})).has_value());
  world.run_for(seconds(1));
  world.fabric().block(client, server);
  BOOST_REQUIRE(run(world, client, near->write({as_view(" never")})).has_value());
  world.run_for(seconds(4));
  BOOST_TEST(!received->value.has_value());
  world.run_for(seconds(2));
  BOOST_REQUIRE(received->value.has_value());
  BOOST_TEST(*received->value == "held and brought");
}

BOOST_AUTO_TEST_CASE(a_killed_peer_is_heard_of_soon_and_a_silent_one_late) {
  for (const bool silent : {false, true}) {
    TwoNodes w;
    w.connect();
    const auto answered = begin(w.world, client, drain(*w.near));
    w.world.crash(server, {.silent = silent});
    w.world.run_for(milliseconds(100));
    BOOST_TEST(answered->value.has_value() == !silent);
    const auto again =
        run(w.world, client, w.world.node(client).network().connect({"node-1", 9092}, seconds(1)));
    BOOST_TEST((again.error().code == (silent ? Errc::timed_out : Errc::closed)));
    w.world.run_for(seconds(5));
    BOOST_TEST(answered->value.has_value());
    w.end_streams();
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::runtime
