#include "runtime/tcp_transport.h"

#include "runtime/frame_reader.h"
#include "runtime/real/test_world.h"
#include "runtime/tcp_frames.h"
#include "runtime/transport_contract.h"

namespace qlab::runtime {
namespace {

using tcp::FrameType;
using transport_contract::Recorder;

const transport_contract::Hosts loopback{"127.0.0.1", "127.0.0.1"};

// Runs one check of the contract on two transports of one shard.
void run_contract(Task<void> (*check)(Runtime&, Transport&, Transport&,
                                      transport_contract::Hosts)) {
  TestWorld world;
  Runtime& runtime = world.runtime();
  const auto first = make_tcp_transport(runtime);
  const auto second = make_tcp_transport(runtime);
  world.run([&] { return check(runtime, *first, *second, loopback); });
}

Bytes hello_of(int node, std::string cluster_id) {
  tcp::Hello hello;
  hello.node = NodeId(node);
  hello.cluster_id = std::move(cluster_id);
  hello.endpoint = "127.0.0.1:1";
  hello.link_epoch = LinkEpoch(1);
  return encode(hello);
}

// The first frame that comes back for these bytes, as type and words; type 0: the end.
struct Answer {
  FrameType type{0};
  std::string words;
};
Task<Answer> ask(Runtime& runtime, Endpoint at, Bytes bytes) {
  auto stream = co_await runtime.network().connect(at, transport_contract::patience);
  BOOST_REQUIRE_MESSAGE(stream.has_value(), why(stream));
  std::vector<ByteView> pieces(1, bytes);
  const auto written = co_await (*stream)->write(std::move(pieces));
  BOOST_REQUIRE(written.has_value());
  FrameReader reader(**stream, 1u << 20);
  const auto filled = co_await reader.fill();
  if (!filled) co_return Answer{};
  const ByteView frame = *reader.take();
  co_return Answer{static_cast<FrameType>(frame.front()), std::string(as_text(frame.subspan(1)))};
}

// A node that runs, and what it hears.
struct Node {
  explicit Node(Runtime& runtime_in)
      : runtime(runtime_in), recorder(runtime_in), transport(make_tcp_transport(runtime_in)) {}

  Task<void> start(TransportIdentity identity, CallHandler calls) {
    const auto started = co_await transport->start(std::move(identity), recorder, std::move(calls));
    BOOST_REQUIRE_MESSAGE(started.has_value(), why(started));
  }
  Task<Answer> ask(Bytes bytes) {
    return runtime::ask(runtime, transport->bound(), std::move(bytes));
  }

  Runtime& runtime;
  Recorder recorder;
  std::unique_ptr<Transport> transport;
};

Task<Result<std::string>> echo(std::string method, std::string request) {
  if (method != "Echo") co_return fail(Errc::unsupported, "no method {}", method);
  co_return request;
}

Bytes call_of(std::string_view method, std::string_view request) {
  BytesWriter body;
  body.put(static_cast<std::uint16_t>(method.size()));
  body.put_text(method);
  body.put_text(request);
  return tcp::frame(FrameType::call, body.view());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tcp_transport)

BOOST_AUTO_TEST_CASE(messages_arrive_in_order) {
  run_contract(transport_contract::messages_arrive_in_order);
}

BOOST_AUTO_TEST_CASE(a_peer_goes_and_comes_back) {
  run_contract(transport_contract::a_peer_goes_and_comes_back);
}

BOOST_AUTO_TEST_CASE(a_closed_link_is_opened_anew) {
  run_contract(transport_contract::a_closed_link_is_opened_anew);
}

BOOST_AUTO_TEST_CASE(a_full_queue_says_so) {
  run_contract(transport_contract::a_full_queue_says_so);
}

BOOST_AUTO_TEST_CASE(a_peer_of_another_cluster_or_of_our_name_is_refused_with_the_reason) {
  TestWorld world;
  world.run([&]() -> Task<void> {
    Node node(world.runtime());
    co_await node.start(transport_contract::identity(1, "127.0.0.1"), transport_contract::no_calls);
    Answer answer = co_await node.ask(hello_of(2, "another"));
    BOOST_TEST((answer.type == FrameType::refusal));
    BOOST_TEST(answer.words == "node 2 belongs to cluster another, and node 1 to a-cluster");
    answer = co_await node.ask(hello_of(1, "a-cluster"));
    BOOST_TEST((answer.type == FrameType::refusal));
    BOOST_TEST(answer.words == "two nodes say they are node 1");
    answer = co_await node.ask(hello_of(-1, "a-cluster"));
    BOOST_TEST((answer.type == FrameType::refusal));
    answer = co_await node.ask(hello_of(2, "a-cluster"));
    BOOST_TEST((answer.type == FrameType::hello));
    co_await node.transport->stop();
  });
}

BOOST_AUTO_TEST_CASE(garbage_is_refused_and_the_node_goes_on) {
  TestWorld world;
  world.run([&]() -> Task<void> {
    Node node(world.runtime());
    co_await node.start(transport_contract::identity(1, "127.0.0.1"), transport_contract::no_calls);
    Answer answer = co_await node.ask(tcp::frame(FrameType::hello, as_view("no hello")));
    BOOST_TEST((answer.type == FrameType::refusal));
    BOOST_TEST(answer.words == "the first frame is not a hello");
    const Bytes huge(4, std::byte{0xff});  // A length of 4 GiB.
    answer = co_await node.ask(huge);
    BOOST_TEST((answer.type == FrameType{0}));
    const Bytes empty(4, std::byte{0});
    answer = co_await node.ask(empty);
    BOOST_TEST((answer.type == FrameType{0}));
    answer = co_await node.ask(hello_of(2, "a-cluster"));
    BOOST_TEST((answer.type == FrameType::hello));
    co_await node.transport->stop();
  });
}

BOOST_AUTO_TEST_CASE(a_peer_that_answers_as_somebody_else_gets_no_link) {
  for (const bool other_cluster : {true, false}) {
    TestWorld world;
    Runtime& runtime = world.runtime();
    world.run([&]() -> Task<void> {
      Endpoint anywhere{"127.0.0.1", 0};
      auto fake = co_await runtime.network().listen(anywhere);
      BOOST_REQUIRE(fake.has_value());
      auto self = transport_contract::identity(1, "127.0.0.1");
      self.peers[NodeId(2)] = (*fake)->local();
      Node node(runtime);
      co_await node.start(std::move(self), transport_contract::no_calls);
      auto stream = co_await (*fake)->accept();
      BOOST_REQUIRE(stream.has_value());
      const Bytes answer = other_cluster ? hello_of(2, "another") : hello_of(3, "a-cluster");
      std::vector<ByteView> pieces(1, answer);
      const auto written = co_await (*stream)->write(std::move(pieces));
      BOOST_REQUIRE(written.has_value());
      FrameReader reader(**stream, 1u << 20);
      const auto hello = co_await reader.fill();
      BOOST_REQUIRE(hello.has_value());
      static_cast<void>(reader.take());
      const auto left = co_await reader.fill();  // Ends when the node has read the answer.
      BOOST_TEST(!left.has_value());
      BOOST_TEST((node.recorder.epoch(NodeId(2)) == LinkEpoch(0)));
      co_await node.transport->stop();
    });
  }
}

BOOST_AUTO_TEST_CASE(a_busy_port_is_an_error_that_names_it) {
  TestWorld world;
  world.run([&]() -> Task<void> {
    Endpoint anywhere{"127.0.0.1", 0};
    auto holder = co_await world.runtime().network().listen(anywhere);
    BOOST_REQUIRE(holder.has_value());
    Node node(world.runtime());
    auto self = transport_contract::identity(1, "127.0.0.1");
    self.listen = (*holder)->local();
    const std::string port = self.listen.to_string();
    const auto started = co_await node.transport->start(std::move(self), node.recorder,
                                                        transport_contract::no_calls);
    BOOST_REQUIRE(!started.has_value());
    BOOST_TEST((started.error().code == Errc::exists));
    BOOST_TEST(started.error().context.find(port) != std::string::npos);
  });
}

BOOST_AUTO_TEST_CASE(a_stop_does_not_wait_for_peers_that_are_not_there) {
  TestWorld world;
  world.run([&]() -> Task<void> {
    Node node(world.runtime());
    auto self = transport_contract::identity(1, "127.0.0.1");
    self.peers[NodeId(2)] = Endpoint{"127.0.0.1", 1};
    co_await node.start(std::move(self), transport_contract::no_calls);
    BOOST_TEST(!node.transport->send(NodeId(2), Channel::metadata_consensus, Bytes{}));
    BOOST_TEST(!node.transport->send(NodeId(9), Channel::metadata_consensus, Bytes{}));
    co_await node.transport->stop();
    co_await node.transport->stop();  // A second one has nothing to do.
  });
}

BOOST_AUTO_TEST_CASE(a_call_goes_to_the_handler_and_its_answer_comes_back) {
  TestWorld world;
  world.run([&]() -> Task<void> {
    Node node(world.runtime());
    co_await node.start(transport_contract::identity(1, "127.0.0.1"), echo);
    Answer answer = co_await node.ask(call_of("Echo", "words"));
    BOOST_TEST((answer.type == FrameType::answer));
    BOOST_TEST(answer.words == "\x01words");
    answer = co_await node.ask(call_of("Other", ""));
    BOOST_TEST((answer.type == FrameType::answer));
    const std::string refusal{"\0unsupported: no method Other", 29};
    BOOST_TEST(answer.words == refusal);
    co_await node.transport->stop();
  });
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace qlab::runtime
