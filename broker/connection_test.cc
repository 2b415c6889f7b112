// Connections over real sockets, with handlers that the tests hold in their hands.

#include "broker/connection.h"

#include <set>

#include <boost/test/unit_test.hpp>

#include "common/logging.h"
#include "runtime/real/test_world.h"

namespace qlab::broker {
namespace {

using runtime::TestWorld;

constexpr std::size_t request_bytes_max = 4096;
constexpr Duration patience = std::chrono::seconds(30);

// Answers with the request's correlation id, when the test lets it.
class HeldHandler final : public RequestHandler {
 public:
  explicit HeldHandler(runtime::Runtime& runtime) : changed_(runtime) {}

  bool may_overlap(const wire::RequestHeader& header) const override {
    return header.api_key == wire::ApiKey::produce;
  }
  bool may_be_held(const wire::RequestHeader& header) const override {
    return header.api_key == wire::ApiKey::fetch;
  }
  Task<Result<Bytes>> handle(Request request) override {
    const std::int32_t id = request.header.correlation_id;
    BOOST_TEST((request.hurry != nullptr) == may_be_held(request.header));
    if (request.hurry != nullptr) request.hurry->on_ask([this, id] { let_go(id); });
    begun.push_back(id);
    changed_.notify_all();
    while (held.contains(id)) co_await changed_.wait();
    if (refused.contains(id)) co_return fail(Errc::corrupt, "a body that does not decode");
    if (silent.contains(id)) co_return Bytes{};
    BytesWriter out;
    const std::size_t frame = wire::begin_frame(out);
    out.put(id);
    wire::end_frame(out, frame);
    co_return out.take();
  }
  void let_go(std::int32_t id) {
    held.erase(id);
    changed_.notify_all();
  }
  Task<void> wait_begun(std::size_t count) {
    while (begun.size() < count) co_await changed_.wait();
  }

  std::vector<std::int32_t> begun;  // In the order in which they came in.
  std::set<std::int32_t> held;
  std::set<std::int32_t> refused;
  std::set<std::int32_t> silent;

 private:
  runtime::Event changed_;
};

Bytes request(wire::ApiKey key, std::int16_t version, std::int32_t id, std::size_t body = 0) {
  BytesWriter out;
  const std::size_t frame = wire::begin_frame(out);
  wire::encode_request_header(out, {key, version, id, "test"});
  out.put_bytes(Bytes(body));
  wire::end_frame(out, frame);
  return out.take();
}
Bytes produce(std::int32_t id, std::size_t body = 0) {
  return request(wire::ApiKey::produce, 7, id, body);
}
Bytes metadata(std::int32_t id) {
  return request(wire::ApiKey::metadata, 1, id);
}

Bytes fetch(std::int32_t id) {
  return request(wire::ApiKey::fetch, 11, id);
}

Bytes joined(const std::vector<Bytes>& parts) {
  Bytes all;
  for (const Bytes& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

class Bench {
 public:
  explicit Bench(TestWorld& world,
                 ConnectionLimits limits = {.request_bytes_max = request_bytes_max})
      : runtime(world.runtime()), handler(runtime), server(runtime, handler, limits) {}

  Task<void> open() {
    const runtime::Endpoint anywhere{"127.0.0.1", 0};
    auto listener = co_await runtime.network().listen(anywhere);
    BOOST_REQUIRE(listener.has_value());
    at_ = (*listener)->local();
    server.start(std::move(*listener));
  }
  Task<std::unique_ptr<runtime::Stream>> connect() {
    auto stream = co_await runtime.network().connect(at_, patience);
    BOOST_REQUIRE(stream.has_value());
    co_return std::move(*stream);
  }

  runtime::Runtime& runtime;
  HeldHandler handler;
  ConnectionServer server;

 private:
  runtime::Endpoint at_;
};

Task<void> send(runtime::Stream& stream, Bytes bytes) {
  std::vector<ByteView> pieces(1, ByteView(bytes));
  const auto sent = co_await stream.write(pieces);
  BOOST_TEST(sent.has_value());
}

// The correlation ids of the next answers; fewer when the stream ends.
Task<std::vector<std::int32_t>> receive(runtime::Stream& stream, std::size_t count) {
  Bytes got;
  Bytes into(256);
  while (got.size() < 8 * count) {
    const auto read = co_await stream.read_some(into);
    if (!read) break;
    got.insert(got.end(), into.begin(), into.begin() + static_cast<std::ptrdiff_t>(*read));
  }
  std::vector<std::int32_t> ids;
  for (std::size_t at = 0; at + 8 <= got.size(); at += 8) {
    ids.push_back(load_big<std::int32_t>(got.data() + at + 4));
  }
  co_return ids;
}

Task<bool> is_closed(runtime::Stream& stream) {
  Bytes into(16);
  const auto read = co_await stream.read_some(into);
  co_return !read.has_value();
}

using Ids = std::vector<std::int32_t>;

// What the tests do inside of the world, each with its own name outside.
Task<void> overlapping_waits(TestWorld& world) {
  Bench bench(world);
  co_await bench.open();
  auto client = co_await bench.connect();
  bench.handler.held = {1, 2};
  const Bytes sent_1 = joined({produce(1), produce(2), produce(3)});
  co_await send(*client, sent_1);
  co_await bench.handler.wait_begun(3);  // The third began while the first two wait.
  BOOST_TEST((bench.handler.begun == Ids{1, 2, 3}));
  bench.handler.let_go(2);
  bench.handler.let_go(1);
  const Ids answers = co_await receive(*client, 3);
  BOOST_TEST((answers == Ids{1, 2, 3}));
  client->close();
  co_await bench.server.stop();
}

Task<void> one_after_the_other(TestWorld& world) {
  Bench bench(world);
  co_await bench.open();
  auto client = co_await bench.connect();
  bench.handler.held = {1};
  const Bytes sent_2 = joined({metadata(1), metadata(2)});
  co_await send(*client, sent_2);
  co_await bench.handler.wait_begun(1);
  co_await runtime::sleep_for(bench.runtime, Duration::zero());
  BOOST_TEST((bench.handler.begun == Ids{1}));
  bench.handler.let_go(1);
  const Ids answers = co_await receive(*client, 2);
  BOOST_TEST((answers == Ids{1, 2}));
  co_await bench.server.stop();
}

Task<void> behind_a_held_one(TestWorld& world, Bytes behind) {
  Bench bench(world);
  co_await bench.open();
  auto client = co_await bench.connect();
  bench.handler.held = {1};
  co_await send(*client, fetch(1));
  co_await bench.handler.wait_begun(1);
  co_await runtime::sleep_for(bench.runtime, Duration::zero());
  BOOST_TEST(bench.handler.held.contains(1));
  co_await send(*client, behind);
  const Ids answers = co_await receive(*client, 2);
  BOOST_TEST((answers == Ids{1, 2}));
  co_await bench.server.stop();
}

Task<void> held_for_nobody(TestWorld& world) {
  Bench bench(world);
  co_await bench.open();
  auto client = co_await bench.connect();
  bench.handler.held = {1};
  co_await send(*client, fetch(1));
  co_await bench.handler.wait_begun(1);
  client->close();
  while (bench.handler.held.contains(1)) {
    co_await runtime::sleep_for(bench.runtime, std::chrono::milliseconds(1));
  }
  co_await bench.server.stop();
}

Task<void> without_an_answer(TestWorld& world) {
  Bench bench(world);
  co_await bench.open();
  auto client = co_await bench.connect();
  bench.handler.silent = {1};
  const Bytes sent_3 = joined({produce(1), produce(2)});
  co_await send(*client, sent_3);
  const Ids answers = co_await receive(*client, 1);
  BOOST_TEST((answers == Ids{2}));
  co_await bench.server.stop();
}

Task<void> byte_by_byte(TestWorld& world) {
  Bench bench(world);
  co_await bench.open();
  auto client = co_await bench.connect();
  // One frame in single bytes; then one larger than the read buffer's rest, behind a small one.
  for (const std::byte one : metadata(1)) co_await send(*client, Bytes(1, one));
  const Ids first = co_await receive(*client, 1);
  BOOST_TEST((first == Ids{1}));
  const Bytes sent_4 = joined({metadata(2), produce(3, 4000), metadata(4)});
  co_await send(*client, sent_4);
  const Ids rest = co_await receive(*client, 3);
  BOOST_TEST((rest == Ids{2, 3, 4}));
  co_await bench.server.stop();
}

Task<void> refused_bytes(TestWorld& world, Bytes bytes) {
  Bench bench(world);
  co_await bench.open();
  auto bad = co_await bench.connect();
  auto good = co_await bench.connect();
  co_await send(*bad, bytes);
  const bool closed = co_await is_closed(*bad);
  BOOST_TEST(closed);
  co_await send(*good, metadata(7));
  const Ids answers = co_await receive(*good, 1);
  BOOST_TEST((answers == Ids{7}));
  co_await bench.server.stop();
}

Task<void> refused_by_the_handler(TestWorld& world, bool overlapping) {
  Bench bench(world);
  co_await bench.open();
  auto client = co_await bench.connect();
  bench.handler.refused = {2};
  co_await send(*client, metadata(1));
  const Ids answers = co_await receive(*client, 1);
  BOOST_TEST((answers == Ids{1}));
  const Bytes bad = overlapping ? produce(2) : metadata(2);
  co_await send(*client, bad);
  const bool closed = co_await is_closed(*client);
  BOOST_TEST(closed);
  co_await bench.server.stop();
}

Task<void> too_many(TestWorld& world) {
  Bench bench(world, {.request_bytes_max = request_bytes_max, .connections_max = 1});
  co_await bench.open();
  auto first = co_await bench.connect();
  co_await send(*first, metadata(1));
  const Ids answers = co_await receive(*first, 1);
  BOOST_TEST((answers == Ids{1}));
  auto second = co_await bench.connect();
  const bool closed = co_await is_closed(*second);
  BOOST_TEST(closed);
  BOOST_TEST(bench.server.connections() == 1u);
  co_await bench.server.stop();
}

Task<void> idle(TestWorld& world) {
  const Duration idle_max = std::chrono::milliseconds(20);
  Bench bench(world, {.request_bytes_max = request_bytes_max, .idle_max = idle_max});
  co_await bench.open();
  auto client = co_await bench.connect();
  const bool closed = co_await is_closed(*client);
  BOOST_TEST(closed);
  co_await bench.server.stop();
}

Task<void> stop_in_the_middle(TestWorld& world) {
  Bench bench(world);
  co_await bench.open();
  auto client = co_await bench.connect();
  bench.handler.held = {1, 2};
  const Bytes sent_5 = joined({produce(1), produce(2), metadata(3)});
  co_await send(*client, sent_5);
  co_await bench.handler.wait_begun(2);
  bench.server.close();
  const bool closed = co_await is_closed(*client);
  BOOST_TEST(closed);
  bench.handler.let_go(1);
  bench.handler.let_go(2);
  co_await bench.server.stop();
  BOOST_TEST(bench.server.connections() == 0u);
  // The third may not overlap, and its turn never came.
  BOOST_TEST(bench.handler.begun.size() == 2u);
}

Bytes length_of(std::int32_t bytes) {
  BytesWriter out;
  out.put(bytes);
  return out.take();
}

struct Fixture {
  Fixture() { set_log_level(LogLevel::error); }  // Closed connections are what is tested.
  ~Fixture() { set_log_level(LogLevel::info); }
  TestWorld world;
};

BOOST_FIXTURE_TEST_SUITE(connection, Fixture)

BOOST_AUTO_TEST_CASE(waits_of_produce_requests_overlap_and_their_answers_stay_in_order) {
  world.run([this] { return overlapping_waits(world); });
}
BOOST_AUTO_TEST_CASE(other_requests_are_served_one_after_the_other) {
  world.run([this] { return one_after_the_other(world); });
}
BOOST_AUTO_TEST_CASE(a_fetch_that_waits_is_answered_when_another_request_comes_behind_it) {
  for (const Bytes& behind : {metadata(2), produce(2), fetch(2)}) {
    world.run([this, behind] { return behind_a_held_one(world, behind); });
  }
}
BOOST_AUTO_TEST_CASE(a_fetch_waits_for_no_client_that_is_gone) {
  world.run([this] { return held_for_nobody(world); });
}
BOOST_AUTO_TEST_CASE(a_request_without_an_answer_does_not_hold_up_those_behind_it) {
  world.run([this] { return without_an_answer(world); });
}
BOOST_AUTO_TEST_CASE(frames_are_found_however_the_bytes_come) {
  world.run([this] { return byte_by_byte(world); });
}
BOOST_AUTO_TEST_CASE(a_frame_of_a_length_out_of_bounds_closes_its_connection_alone) {
  for (const std::int32_t length : {-1, static_cast<std::int32_t>(request_bytes_max) + 1}) {
    world.run([this, length] { return refused_bytes(world, length_of(length)); });
  }
}
BOOST_AUTO_TEST_CASE(a_frame_that_is_shorter_than_a_header_closes_its_connection_alone) {
  world.run([this] { return refused_bytes(world, joined({length_of(3), Bytes(3)})); });
}
BOOST_AUTO_TEST_CASE(a_request_that_its_handler_refuses_closes_the_connection) {
  for (const bool overlapping : {false, true}) {
    world.run([this, overlapping] { return refused_by_the_handler(world, overlapping); });
  }
}
BOOST_AUTO_TEST_CASE(a_connection_beyond_the_limit_is_closed) {
  world.run([this] { return too_many(world); });
}
BOOST_AUTO_TEST_CASE(a_connection_without_requests_is_closed_in_time) {
  world.run([this] { return idle(world); });
}
BOOST_AUTO_TEST_CASE(closing_cuts_off_clients_at_once_and_joins_their_handlers) {
  world.run([this] { return stop_in_the_middle(world); });
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::broker
