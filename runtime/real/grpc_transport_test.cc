#include "runtime/real/grpc_transport.h"

#include <future>
#include <thread>

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include "control.grpc.pb.h"
#include "peer.grpc.pb.h"
#include "runtime/network.h"
#include "runtime/real/helper_thread.h"
#include "runtime/real/test_world.h"
#include "runtime/transport_contract.h"

namespace qlab::runtime {
namespace {

using transport_contract::Recorder;
using transport_contract::Two;

const transport_contract::Hosts loopback{"127.0.0.1", "127.0.0.1"};

// Runs one check of the contract on two transports of one shard.
void run_contract(Task<void> (*check)(Runtime&, Transport&, Transport&,
                                      transport_contract::Hosts)) {
  TestWorld world;
  Runtime& runtime = world.runtime();
  const auto first = make_grpc_transport(runtime);
  const auto second = make_grpc_transport(runtime);
  world.run([&] { return check(runtime, *first, *second, loopback); });
}

std::shared_ptr<grpc::Channel> channel_to(Endpoint endpoint) {
  return grpc::CreateChannel(endpoint.to_string(), grpc::InsecureChannelCredentials());
}

// Says hello as a peer would, and returns how the stream ended when it was refused.
grpc::Status say_hello(Endpoint endpoint, int node, std::string cluster_id) {
  const auto stub = peer::Peer::NewStub(channel_to(endpoint));
  grpc::ClientContext context;
  const auto stream = stub->Link(&context);
  peer::Frame frame;
  frame.mutable_hello()->set_node_id(node);
  frame.mutable_hello()->set_cluster_id(cluster_id);
  frame.mutable_hello()->set_endpoint("127.0.0.1:1");
  (void)stream->Write(frame);  // Whether it was taken shows in the status.
  peer::Hello answer;
  if (stream->Read(&answer)) return grpc::Status::OK;
  return stream->Finish();
}

// A peer that answers with the hello it was given.
class FakePeer final : public peer::Peer::Service {
 public:
  explicit FakePeer(peer::Hello answer) : answer_(std::move(answer)) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    BOOST_REQUIRE(server_ != nullptr);
  }
  ~FakePeer() override { server_->Shutdown(std::chrono::system_clock::now()); }

  Endpoint endpoint() const { return {"127.0.0.1", static_cast<std::uint16_t>(port_)}; }
  // Blocks until a client that read our answer has ended its stream.
  void wait_for_leaver() { left_.get_future().wait(); }

 private:
  grpc::Status Link(grpc::ServerContext*,
                    grpc::ServerReaderWriter<peer::Hello, peer::Frame>* stream) override {
    peer::Frame frame;
    if (!stream->Read(&frame) || !stream->Write(answer_)) return grpc::Status::CANCELLED;
    const bool went_on = stream->Read(&frame);
    if (!went_on && !std::exchange(told_, true)) left_.set_value();
    return grpc::Status::OK;
  }

  const peer::Hello answer_;
  int port_ = 0;
  std::promise<void> left_;
  bool told_ = false;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(grpc_transport)

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
  Runtime& runtime = world.runtime();
  Transport& transport = runtime.transport();
  world.run([&]() -> Task<void> {
    Recorder recorder(runtime);
    HelperThread helper(runtime.executor());
    auto self = transport_contract::identity(1, "127.0.0.1");
    auto started = co_await transport.start(self, recorder, transport_contract::no_calls);
    BOOST_REQUIRE_MESSAGE(started.has_value(), why(started));
    const Endpoint at = transport.bound();

    auto stranger = [at] { return say_hello(at, 2, "another"); };
    grpc::Status status = co_await helper.run(std::move(stranger));
    BOOST_TEST((status.error_code() == grpc::StatusCode::FAILED_PRECONDITION));
    BOOST_TEST(status.error_message() ==
               "node 2 belongs to cluster another, and node 1 to a-cluster");

    auto twin = [at] { return say_hello(at, 1, "a-cluster"); };
    status = co_await helper.run(std::move(twin));
    BOOST_TEST((status.error_code() == grpc::StatusCode::FAILED_PRECONDITION));
    BOOST_TEST(status.error_message() == "two nodes say they are node 1");

    auto garbage = [at] { return say_hello(at, -1, "a-cluster"); };
    status = co_await helper.run(std::move(garbage));
    BOOST_TEST((status.error_code() == grpc::StatusCode::INVALID_ARGUMENT));

    auto friendly = [at] { return say_hello(at, 2, "a-cluster"); };
    status = co_await helper.run(std::move(friendly));
    BOOST_TEST(status.ok());
    co_await transport.stop();
  });
}

BOOST_AUTO_TEST_CASE(a_peer_that_answers_as_somebody_else_gets_no_link) {
  for (const bool other_cluster : {true, false}) {
    peer::Hello answer;
    answer.set_node_id(other_cluster ? 2 : 3);
    answer.set_cluster_id(other_cluster ? "another" : "a-cluster");
    FakePeer fake(answer);
    TestWorld world;
    Runtime& runtime = world.runtime();
    world.run([&]() -> Task<void> {
      Recorder recorder(runtime);
      HelperThread helper(runtime.executor());
      auto self = transport_contract::identity(1, "127.0.0.1");
      self.peers[NodeId(2)] = fake.endpoint();
      Transport& transport = runtime.transport();
      auto started = co_await transport.start(self, recorder, transport_contract::no_calls);
      BOOST_REQUIRE_MESSAGE(started.has_value(), why(started));
      auto wait = [&fake] {
        fake.wait_for_leaver();
        return true;
      };
      co_await helper.run(std::move(wait));
      BOOST_TEST(!recorder.is_up(NodeId(2)));
      BOOST_TEST((recorder.epoch(NodeId(2)) == LinkEpoch(0)));
      co_await transport.stop();
    });
  }
}

BOOST_AUTO_TEST_CASE(a_busy_port_is_an_error_that_names_it) {
  TestWorld world;
  Runtime& runtime = world.runtime();
  world.run([&]() -> Task<void> {
    Endpoint anywhere{"127.0.0.1", 0};
    auto holder = co_await runtime.network().listen(anywhere);
    BOOST_REQUIRE(holder.has_value());
    Recorder recorder(runtime);
    auto self = transport_contract::identity(1, "127.0.0.1");
    self.listen = (*holder)->local();
    auto started = co_await runtime.transport().start(self, recorder, transport_contract::no_calls);
    BOOST_REQUIRE(!started.has_value());
    BOOST_TEST((started.error().code == Errc::exists));
    BOOST_TEST(started.error().context.find(self.listen.to_string()) != std::string::npos);
  });
}

BOOST_AUTO_TEST_CASE(a_stop_does_not_wait_for_peers_that_are_not_there) {
  TestWorld world;
  Runtime& runtime = world.runtime();
  world.run([&]() -> Task<void> {
    Recorder recorder(runtime);
    auto self = transport_contract::identity(1, "127.0.0.1");
    self.peers[NodeId(2)] = Endpoint{"127.0.0.1", 1};
    self.peers[NodeId(3)] = Endpoint{"no-such-host.invalid", 1};
    auto started = co_await runtime.transport().start(self, recorder, transport_contract::no_calls);
    BOOST_REQUIRE_MESSAGE(started.has_value(), why(started));
    BOOST_TEST(!runtime.transport().send(NodeId(2), Channel::metadata_consensus, Bytes{}));
    BOOST_TEST(!runtime.transport().send(NodeId(9), Channel::metadata_consensus, Bytes{}));
    co_await runtime.transport().stop();
    co_await runtime.transport().stop();  // A second one has nothing to do.
  });
}

BOOST_AUTO_TEST_CASE(a_call_goes_to_the_handler_and_its_answer_comes_back) {
  TestWorld world;
  Runtime& runtime = world.runtime();
  world.run([&]() -> Task<void> {
    Recorder recorder(runtime);
    HelperThread helper(runtime.executor());
    const std::thread::id home = std::this_thread::get_id();
    CallHandler handler = [&](std::string method,
                              std::string request) -> Task<Result<std::string>> {
      BOOST_TEST((std::this_thread::get_id() == home));
      BOOST_TEST(method == "Status");
      control::StatusRequest asked;
      BOOST_TEST(asked.ParseFromString(request));
      if (!asked.partitions()) co_return fail(Errc::not_found, "nothing but partitions");
      control::StatusReply reply;
      reply.set_cluster_id("a-cluster");
      co_return reply.SerializeAsString();
    };
    auto started = co_await runtime.transport().start(transport_contract::identity(1, "127.0.0.1"),
                                                      recorder, handler);
    BOOST_REQUIRE_MESSAGE(started.has_value(), why(started));
    const Endpoint at = runtime.transport().bound();

    control::StatusReply reply;
    auto ask = [at, &reply](bool partitions) {
      const auto stub = control::Control::NewStub(channel_to(at));
      grpc::ClientContext context;
      control::StatusRequest request;
      request.set_partitions(partitions);
      return stub->Status(&context, request, &reply);
    };
    auto good = [ask] { return ask(true); };
    grpc::Status status = co_await helper.run(std::move(good));
    BOOST_TEST(status.ok(), status.error_message());
    BOOST_TEST(reply.cluster_id() == "a-cluster");

    auto bad = [ask] { return ask(false); };
    status = co_await helper.run(std::move(bad));
    BOOST_TEST((status.error_code() == grpc::StatusCode::NOT_FOUND));
    BOOST_TEST(status.error_message() == "not_found: nothing but partitions");
    co_await runtime.transport().stop();
  });
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace qlab::runtime
