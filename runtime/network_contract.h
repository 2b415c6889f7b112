#pragma once
// What every Network promises, as checks that both worlds run (network.h). Each is one coroutine.

#include <array>

#include <boost/test/unit_test.hpp>

#include "runtime/async.h"
#include "runtime/contract_tools.h"
#include "runtime/network.h"

namespace qlab::runtime::network_contract {

constexpr Duration patience = std::chrono::seconds(10);

// Two ends of one connection.
struct Pair {
  std::unique_ptr<Stream> client;
  std::unique_ptr<Stream> server;
};

inline Task<std::unique_ptr<Listener>> listen_anywhere(Network& network, std::string host) {
  Endpoint endpoint{std::move(host), 0};
  auto listener = co_await network.listen(endpoint);
  BOOST_REQUIRE_MESSAGE(listener.has_value(), why(listener));
  BOOST_REQUIRE((*listener)->local().port != 0);
  co_return std::move(*listener);
}

inline Task<Pair> connect_to(Network& network, Listener& listener) {
  Pair pair;
  auto client = co_await network.connect(listener.local(), patience);
  BOOST_REQUIRE_MESSAGE(client.has_value(), why(client));
  auto server = co_await listener.accept();
  BOOST_REQUIRE_MESSAGE(server.has_value(), why(server));
  pair.client = std::move(*client);
  pair.server = std::move(*server);
  co_return pair;
}

inline Task<std::string> read_exactly(Stream& stream, std::size_t count) {
  std::string text(count, '\0');
  std::size_t got = 0;
  while (got < count) {
    const std::span<std::byte> rest = std::as_writable_bytes(std::span(text)).subspan(got);
    auto read = co_await stream.read_some(rest);
    BOOST_REQUIRE_MESSAGE(read.has_value(), why(read));
    BOOST_REQUIRE(*read > 0);
    got += *read;
  }
  co_return text;
}

// What one side gathers and writes, the other reads in order; then the same backwards.
inline Task<void> a_stream_carries_both_ways(Runtime& runtime, std::string host) {
  auto listener = co_await listen_anywhere(runtime.network(), std::move(host));
  Pair pair = co_await connect_to(runtime.network(), *listener);
  std::vector<ByteView> pieces = {as_view("pi"), as_view(""), as_view("ng")};
  auto written = co_await pair.client->write(pieces);
  BOOST_REQUIRE(written.has_value());
  BOOST_TEST(co_await read_exactly(*pair.server, 4) == "ping");
  pieces = {as_view("pong")};
  written = co_await pair.server->write(pieces);
  BOOST_REQUIRE(written.has_value());
  BOOST_TEST(co_await read_exactly(*pair.client, 4) == "pong");
  pair.client->close();
  pair.server->close();
  listener->close();
}

// More than the network buffers: the writer waits for the reader and nothing is lost.
inline Task<void> a_large_write_waits_for_its_reader(Runtime& runtime, std::string host) {
  auto listener = co_await listen_anywhere(runtime.network(), std::move(host));
  Pair pair = co_await connect_to(runtime.network(), *listener);
  std::string content(20'000'000, '.');
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 31 >> 8);
  Gate gate(runtime);
  gate.start([&]() -> Task<void> {
    std::vector<ByteView> pieces = {as_view(content).first(1000), as_view(content).subspan(1000)};
    auto written = co_await pair.client->write(pieces);
    BOOST_TEST(written.has_value());
  });
  const std::string got = co_await read_exactly(*pair.server, content.size());
  BOOST_TEST((got == content));
  co_await gate.close();
  pair.client->close();
  pair.server->close();
  listener->close();
}

// Our own close and the other side's end a read under way.
inline Task<void> a_close_wakes_a_reader(Runtime& runtime, std::string host, bool close_own_end) {
  auto listener = co_await listen_anywhere(runtime.network(), std::move(host));
  Pair pair = co_await connect_to(runtime.network(), *listener);
  Gate gate(runtime);
  bool woken = false;
  gate.start([&]() -> Task<void> {
    std::array<std::byte, 16> into;
    auto read = co_await pair.server->read_some(into);
    BOOST_REQUIRE(!read.has_value());
    BOOST_TEST((read.error().code == Errc::closed));
    woken = true;
  });
  co_await sleep_for(runtime, Duration::zero());
  BOOST_TEST(!woken);
  (close_own_end ? pair.server : pair.client)->close();
  co_await gate.close();
  BOOST_TEST(woken);
  pair.client->close();  // A second close is no error.
  pair.server->close();
  listener->close();
}

// A listener that is closed lets go of whoever accepts.
inline Task<void> a_closed_listener_wakes_its_acceptor(Runtime& runtime, std::string host) {
  auto listener = co_await listen_anywhere(runtime.network(), std::move(host));
  Gate gate(runtime);
  gate.start([&]() -> Task<void> {
    auto stream = co_await listener->accept();
    BOOST_REQUIRE(!stream.has_value());
    BOOST_TEST((stream.error().code == Errc::closed));
  });
  co_await sleep_for(runtime, Duration::zero());
  listener->close();
  co_await gate.close();
}

// Nobody listens; and two cannot listen on one port.
inline Task<void> ports_are_refused_with_a_reason(Runtime& runtime, std::string host) {
  auto listener = co_await listen_anywhere(runtime.network(), host);
  const Endpoint at = listener->local();
  auto second = co_await runtime.network().listen(at);
  BOOST_REQUIRE(!second.has_value());
  BOOST_TEST((second.error().code == Errc::exists));
  listener->close();
  listener.reset();
  auto refused = co_await runtime.network().connect(at, patience);
  BOOST_REQUIRE(!refused.has_value());
  BOOST_TEST((refused.error().code == Errc::closed));
}

}  // namespace qlab::runtime::network_contract
