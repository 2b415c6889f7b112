#pragma once
// Whole nodes in a simulated world, for tests: the same Node that the process runs, with its disk,
// its network and its clock in the test's hands. A client of the test's own speaks the protocol to
// it.

#include <boost/test/unit_test.hpp>

#include "broker/frame_reader.h"
#include "broker/node.h"
#include "common/record_batch.h"
#include "runtime/contract_tools.h"
#include "runtime/simulated/run.h"
#include "wire/kafka/create_topics.h"
#include "wire/kafka/fetch.h"
#include "wire/kafka/metadata.h"
#include "wire/kafka/produce.h"

namespace qlab::broker::testing {

using runtime::SimulatedNode;
using std::chrono::seconds;
using wire::KafkaError;

inline constexpr NodeId client{100};
inline constexpr std::uint16_t kafka_port = 9092;
inline constexpr std::uint16_t peer_port = 9192;
inline const std::string topic = "orders";

inline runtime::Endpoint endpoint_of(NodeId node) {
  return {SimulatedNode::host_name(node), kafka_port};
}

inline NodeConfig config_of(NodeId node, int nodes, const std::string& more) {
  std::string voters;
  for (int id = 1; id <= nodes; ++id) {
    voters += fmt::format("{}{}@{}:{}", id > 1 ? "," : "", id, SimulatedNode::host_name(NodeId{id}),
                          peer_port);
  }
  const std::string host = SimulatedNode::host_name(node);
  const auto settings = parse_properties(
      fmt::format("node.id={}\ncluster.id=AAECAwQFBgcICQoLDA0ODw\nlog.dir={}\nlistener={}:{}\n"
                  "peer.listener={}:{}\ncontroller.quorum.voters={}\n{}",
                  node, host, host, kafka_port, host, peer_port, voters, more),
      "test");
  auto config = make_config(settings.value(), {});
  BOOST_REQUIRE_MESSAGE(config.has_value(), runtime::why(config));
  return *config;
}

// What one call brought; the message may view the frame.
template <class Response>
struct Answer {
  std::shared_ptr<const Bytes> frame;
  Response message;
};

template <class Request>
Task<Result<Answer<typename Request::Response>>> call(runtime::Runtime& runtime, NodeId node,
                                                      Request request, std::int16_t version) {
  using Response = typename Request::Response;
  CO_TRY(const auto stream,
         co_await runtime.network().connect(endpoint_of(node), std::chrono::milliseconds(500)));
  BytesWriter out;
  const wire::RequestHeader header{Request::api_key, version, 77, "test"};
  CO_TRY_VOID(wire::encode_request_frame(out, header, request));
  const std::vector<ByteView> pieces(1, out.view());
  CO_TRY_VOID(co_await stream->write(pieces));
  FrameReader reader(*stream, 100u << 20);
  Answer<Response> answer;
  CO_TRY(answer.frame, co_await reader.next());
  stream->close();
  BytesReader in(*answer.frame);
  CO_TRY(const std::int32_t id, wire::decode_response_header(in, Request::api_key, version));
  CHECK(id == 77);
  CO_TRY(answer.message, wire::decode<Response>(in, version));
  co_return answer;
}

inline Bytes batch_of(const std::string& value, std::int64_t timestamp = 1'700'000'000'000) {
  Record record;
  record.timestamp = timestamp;
  const ByteView bytes = as_view(value);
  record.value = Bytes(bytes.begin(), bytes.end());
  return encode_batch(std::vector<Record>(1, record));
}

inline wire::ProduceRequest produce_request(ByteView batch, std::int16_t acks = -1) {
  wire::ProduceRequest request;
  request.acks = acks;
  request.timeout_ms = 5000;
  request.topics.emplace_back().name = topic;
  request.topics[0].partitions.emplace_back().records = batch;
  return request;
}

// Shards of a node that share the simulated node's one thread: each has partitions of its own.
class ShardsOfOneThread final : public runtime::Shards {
 public:
  ShardsOfOneThread(runtime::Runtime& runtime, std::size_t count)
      : runtime_(runtime), count_(count) {}
  std::size_t count() const override { return count_; }
  runtime::Runtime& shard(std::size_t) override { return runtime_; }

 private:
  runtime::Runtime& runtime_;
  const std::size_t count_;
};

class Cluster {
 public:
  // What a node's properties say besides the least.
  using More = std::function<std::string(NodeId)>;

  explicit Cluster(
      std::uint64_t seed, int nodes, More more = [](NodeId) { return ""; })
      : nodes_(nodes), more_(std::move(more)), world_(seed) {
    for (int id = 1; id <= nodes; ++id) boot(NodeId{id});
    for (int id = 1; id <= nodes; ++id) wait_ready(NodeId{id});
  }

  runtime::SimulatedWorld& world() { return world_; }

  void boot(NodeId id) { world_.boot(id, boot_of(id)); }
  void crash(NodeId id) { world_.crash(id); }  // As when the power fails.
  const Node& node(NodeId id) { return *programs_[id].lock()->node; }
  void wait_ready(NodeId id) {
    wait(fmt::format("node {} to be ready", id), [&] {
      const auto program = programs_[id].lock();
      return program != nullptr && program->ready;
    });
  }
  void wait(std::string what, const std::function<bool()>& holds) {
    const auto held = world_.run_until(holds, seconds(60));
    BOOST_REQUIRE_MESSAGE(held.has_value(), what << ": " << runtime::why(held));
  }
  void stop(NodeId id) {
    runtime::run(world_, id, programs_[id].lock()->node->stop(true), seconds(60));
    world_.crash(id, {.lose_unsynced = true, .silent = false});
  }

  template <class Request>
  Result<Answer<typename Request::Response>> ask(NodeId node, Request request,
                                                 std::int16_t version) {
    return runtime::run(world_, client,
                        call(world_.node(client), node, std::move(request), version), seconds(120));
  }
  // The same, where no answer is a failure of the test.
  template <class Request>
  Answer<typename Request::Response> must(NodeId node, Request request, std::int16_t version) {
    auto answer = ask(node, std::move(request), version);
    BOOST_REQUIRE_MESSAGE(answer.has_value(), runtime::why(answer));
    return std::move(*answer);
  }

  void create_topic(NodeId node, std::int16_t replication_factor) {
    wire::CreateTopicsRequest request;
    auto& wanted = request.topics.emplace_back();
    wanted.name = topic;
    wanted.num_partitions = 1;
    wanted.replication_factor = replication_factor;
    const auto answer = must(node, request, 5);
    BOOST_REQUIRE_MESSAGE(answer.message.topics.at(0).error_code == KafkaError::none,
                          name_of(answer.message.topics.at(0).error_code));
  }
  wire::MetadataResponse::Partition partition(NodeId node) {
    wire::MetadataRequest request;
    request.topics.emplace().emplace_back().name = topic;
    const auto answer = must(node, request, 9);
    const auto& partitions = answer.message.topics.at(0).partitions;
    return partitions.empty() ? wire::MetadataResponse::Partition{} : partitions[0];
  }
  wire::ProduceResponse::Partition append(NodeId node, ByteView batch, std::int16_t acks = -1,
                                          std::int16_t version = 8) {
    return must(node, produce_request(batch, acks), version).message.topics.at(0).partitions.at(0);
  }
  // Produces through whoever leads, until it is acknowledged.
  void produce(NodeId asked, const std::string& value) {
    const Bytes batch = batch_of(value);
    bool done = false;
    for (int tries = 0; tries < 300 && !done; ++tries) {
      const NodeId leader = partition(asked).leader_id;
      if (leader != no_node && world_.node(leader).is_up()) {
        const auto answer = ask(leader, produce_request(batch), 8);
        done =
            answer && answer->message.topics.at(0).partitions.at(0).error_code == KafkaError::none;
      }
      if (!done) world_.run_for(std::chrono::milliseconds(100));
    }
    BOOST_REQUIRE_MESSAGE(done, value << " was never acknowledged");
  }
  // The values that a consumer reads from the start.
  std::vector<std::string> consume(NodeId node) {
    wire::FetchRequest request;
    request.topics.emplace_back().topic = topic;
    auto& wanted = request.topics[0].partitions.emplace_back();
    wanted.partition_max_bytes = 1 << 20;
    const auto answer = must(node, request, 11);
    const auto& got = answer.message.topics.at(0).partitions.at(0);
    BOOST_REQUIRE_MESSAGE(got.error_code == KafkaError::none, name_of(got.error_code));
    std::vector<std::string> values;
    for (ByteView left = got.records.value_or(ByteView{}); !left.empty();) {
      const auto header = check_batch(left);
      BOOST_REQUIRE(header.has_value());
      const auto records = decode_records(left.first(header->total_bytes()));
      BOOST_REQUIRE(records.has_value());
      for (const Record& record : *records) values.emplace_back(as_text(*record.value));
      left = left.subspan(header->total_bytes());
    }
    return values;
  }

 private:
  struct Program {
    Program(runtime::SimulatedWorld& world, NodeId id, NodeConfig config)
        : shards(world.node(id), config.shards), gate(world.node(id)) {
      NodeEvents events;
      events.on_ready = [this] { ready = true; };
      events.on_fatal = [](const Error& error) { CHECK_MSG(false, error.message()); };
      node = std::make_unique<Node>(shards, std::move(config), std::move(events));
      gate.start([this] { return start(); });
    }
    Task<void> start() {
      const auto started = co_await node->start();
      CHECK_MSG(started.has_value(), started.error().message());
    }
    bool ready = false;
    ShardsOfOneThread shards;
    std::unique_ptr<Node> node;
    runtime::Gate gate;
  };
  runtime::Boot boot_of(NodeId id) {
    return [this, id](runtime::Runtime&) {
      const auto program = std::make_shared<Program>(world_, id, config_of(id, nodes_, more_(id)));
      programs_[id] = program;
      return program;
    };
  }

  const int nodes_;
  const More more_;
  std::map<NodeId, std::weak_ptr<Program>> programs_;
  runtime::SimulatedWorld world_;
};

}  // namespace qlab::broker::testing
