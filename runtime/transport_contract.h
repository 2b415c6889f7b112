#pragma once
// What every Transport promises, as checks that both worlds run (transport.h). Each is one
// coroutine over two transports that are not started, and leaves them stopped.

#include <functional>
#include <map>
#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "runtime/async.h"
#include "runtime/contract_tools.h"
#include "runtime/transport.h"

namespace qlab::runtime::transport_contract {

constexpr Duration patience = std::chrono::seconds(20);

// Keeps what a transport says.
class Recorder final : public TransportHandler {
 public:
  struct Message {
    NodeId from;
    LinkEpoch link;
    Channel channel;
    std::string text;
  };

  explicit Recorder(Runtime& runtime) : runtime_(runtime), changed_(runtime) {}

  void on_message(NodeId from, LinkEpoch link, Channel channel, Bytes payload) override {
    messages.push_back({from, link, channel, std::string(as_text(payload))});
    changed_.notify_all();
  }
  void on_link_up(NodeId peer, LinkEpoch link) override {
    BOOST_TEST(!is_up(peer));
    BOOST_TEST((link > last_[peer]), "a link epoch is used twice");
    last_[peer] = link;
    up_[peer] = true;
    changed_.notify_all();
  }
  void on_link_down(NodeId peer, LinkEpoch link) override {
    BOOST_TEST(is_up(peer));
    BOOST_TEST((link == last_[peer]));
    up_[peer] = false;
    changed_.notify_all();
  }

  bool is_up(NodeId peer) const {
    const auto found = up_.find(peer);
    return found != up_.end() && found->second;
  }
  LinkEpoch epoch(NodeId peer) { return last_[peer]; }

  // Returns when `condition` holds. It is asked again after every event.
  Task<void> until(std::function<bool()> condition) {
    const Time due = runtime_.now() + patience;
    while (!condition()) {
      const bool in_time = co_await changed_.wait_until(due);
      BOOST_REQUIRE_MESSAGE(in_time || condition(), "what was waited for did not happen");
    }
  }

  std::vector<Message> messages;

 private:
  Runtime& runtime_;
  Event changed_;
  std::map<NodeId, LinkEpoch> last_;
  std::map<NodeId, bool> up_;
};

inline Bytes bytes_of(std::string_view text) {
  const ByteView view = as_view(text);
  return {view.begin(), view.end()};
}

inline Task<Result<std::string>> no_calls(std::string method, std::string) {
  co_return fail(Errc::unsupported, "no method {}", method);
}

inline TransportIdentity identity(int node, std::string host) {
  TransportIdentity made;
  made.node = NodeId(node);
  made.cluster_id = "a-cluster";
  made.listen = Endpoint{std::move(host), 0};
  return made;
}

// Two nodes, of which the second knows the first; the first learns of the second from its hello.
struct Two {
  Two(Runtime& runtime_in, Transport& first_in, Transport& second_in)
      : runtime(runtime_in),
        first(first_in),
        second(second_in),
        at_first(runtime_in),
        at_second(runtime_in) {}

  Task<void> start(std::string first_host, std::string second_host) {
    first_identity = identity(1, std::move(first_host));
    auto started = co_await first.start(first_identity, at_first, no_calls);
    BOOST_REQUIRE_MESSAGE(started.has_value(), why(started));
    BOOST_REQUIRE(first.bound().port != 0);
    second_identity = identity(2, std::move(second_host));
    second_identity.peers[one] = first.bound();
    co_await start_second();
  }
  Task<void> start_second() {
    auto started = co_await second.start(second_identity, at_second, no_calls);
    BOOST_REQUIRE_MESSAGE(started.has_value(), why(started));
    second_identity.listen = second.bound();  // The same port when it is started again.
    co_await both_up();
  }
  Task<void> both_up() {
    co_await at_first.until([this] { return at_first.is_up(two); });
    co_await at_second.until([this] { return at_second.is_up(one); });
  }
  Task<void> stop() {
    co_await second.stop();
    co_await first.stop();
  }

  static constexpr NodeId one{1};
  static constexpr NodeId two{2};
  Runtime& runtime;
  Transport& first;
  Transport& second;
  Recorder at_first;
  Recorder at_second;
  TransportIdentity first_identity;
  TransportIdentity second_identity;
};

struct Hosts {
  std::string first;
  std::string second;
};

// What one sends, small and large, the other gets in order, with its channel and its link.
inline Task<void> messages_arrive_in_order(Runtime& runtime, Transport& first, Transport& second,
                                           Hosts hosts) {
  Two nodes(runtime, first, second);
  co_await nodes.start(hosts.first, hosts.second);
  constexpr std::size_t count = 2000;
  const auto text = [](std::size_t i) {
    return fmt::format("{}{}", i, std::string(i % 500 == 0 ? 200'000 : i % 7, '.'));
  };
  for (std::size_t i = 0; i < count; ++i) {
    const Channel channel = i % 2 == 0 ? Channel::metadata_consensus : Channel::controller_call;
    BOOST_REQUIRE(first.send(Two::two, channel, bytes_of(text(i))));
    BOOST_REQUIRE(second.send(Two::one, Channel::controller_reply, bytes_of(text(i))));
  }
  co_await nodes.at_second.until([&] { return nodes.at_second.messages.size() == count; });
  co_await nodes.at_first.until([&] { return nodes.at_first.messages.size() == count; });
  for (std::size_t i = 0; i < count; ++i) {
    const Recorder::Message& message = nodes.at_second.messages[i];
    BOOST_REQUIRE((message.text == text(i)));
    BOOST_REQUIRE((message.from == Two::one));
    BOOST_REQUIRE((message.link == LinkEpoch(1)));
    BOOST_REQUIRE(
        (message.channel == (i % 2 == 0 ? Channel::metadata_consensus : Channel::controller_call)));
    BOOST_REQUIRE((nodes.at_first.messages[i].text == text(i)));
  }
  co_await nodes.stop();
}

// A stopped peer is down, and nothing is taken for it; when it is back, the next link is up.
inline Task<void> a_peer_goes_and_comes_back(Runtime& runtime, Transport& first, Transport& second,
                                             Hosts hosts) {
  Two nodes(runtime, first, second);
  co_await nodes.start(hosts.first, hosts.second);
  BOOST_TEST(second.send(Two::one, Channel::metadata_consensus, bytes_of("before")));
  co_await nodes.at_first.until([&] { return nodes.at_first.messages.size() == 1; });
  const LinkEpoch before = nodes.at_first.epoch(Two::two);

  co_await second.stop();
  co_await nodes.at_first.until([&] { return !nodes.at_first.is_up(Two::two); });
  BOOST_TEST(!first.send(Two::two, Channel::metadata_consensus, bytes_of("lost")));

  nodes.at_second.messages.clear();
  Recorder restarted(runtime);  // Its epochs begin anew.
  auto started = co_await second.start(nodes.second_identity, restarted, no_calls);
  BOOST_REQUIRE_MESSAGE(started.has_value(), why(started));
  co_await nodes.at_first.until([&] { return nodes.at_first.is_up(Two::two); });
  co_await restarted.until([&] { return restarted.is_up(Two::one); });
  BOOST_TEST((nodes.at_first.epoch(Two::two) > before));

  BOOST_TEST(first.send(Two::two, Channel::metadata_consensus, bytes_of("after")));
  BOOST_TEST(second.send(Two::one, Channel::metadata_consensus, bytes_of("after")));
  co_await restarted.until([&] { return restarted.messages.size() == 1; });
  co_await nodes.at_first.until([&] { return nodes.at_first.messages.size() == 2; });
  BOOST_TEST(restarted.messages[0].text == "after");
  BOOST_TEST((nodes.at_first.messages[1].link > nodes.at_first.messages[0].link));
  co_await nodes.stop();
}

// A link that its owner closes is down, and comes up again by itself.
inline Task<void> a_closed_link_is_opened_anew(Runtime& runtime, Transport& first,
                                               Transport& second, Hosts hosts) {
  Two nodes(runtime, first, second);
  co_await nodes.start(hosts.first, hosts.second);
  const LinkEpoch before = nodes.at_first.epoch(Two::two);
  first.close_link(Two::two);
  BOOST_TEST(!first.send(Two::two, Channel::metadata_consensus, bytes_of("lost")));
  co_await nodes.at_first.until([&] { return nodes.at_first.epoch(Two::two) > before; });
  BOOST_TEST(nodes.at_first.is_up(Two::two));
  BOOST_TEST(nodes.at_second.is_up(Two::one));  // The other direction is another stream.
  BOOST_TEST(first.send(Two::two, Channel::metadata_consensus, bytes_of("kept")));
  co_await nodes.at_second.until([&] { return !nodes.at_second.messages.empty(); });
  BOOST_TEST(nodes.at_second.messages[0].text == "kept");
  BOOST_TEST((nodes.at_second.messages[0].link == LinkEpoch(2)));
  co_await nodes.stop();
}

// There is a bound to what waits for a peer; beyond it send() says no, and the rest arrives.
inline Task<void> a_full_queue_says_so(Runtime& runtime, Transport& first, Transport& second,
                                       Hosts hosts) {
  Two nodes(runtime, first, second);
  co_await nodes.start(hosts.first, hosts.second);
  const std::string large(8u << 20, 'l');
  std::size_t taken = 0;
  while (taken < 100 && first.send(Two::two, Channel::metadata_consensus, bytes_of(large))) ++taken;
  BOOST_TEST(taken > 0u);
  BOOST_TEST(taken <= Transport::peer_queue_bytes_max / large.size());
  co_await nodes.at_second.until([&] { return nodes.at_second.messages.size() == taken; });
  BOOST_TEST(first.send(Two::two, Channel::metadata_consensus, bytes_of("small")));
  co_await nodes.at_second.until([&] { return nodes.at_second.messages.size() == taken + 1; });
  co_await nodes.stop();
}

}  // namespace qlab::runtime::transport_contract
