// Whole nodes in a simulated world: the same Node that the process runs, with its disk, its network
// and its clock in the test's hands. A client of the test's own speaks the protocol to it.

#include "broker/node.h"

#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "broker/frame_reader.h"
#include "common/crc32c.h"
#include "common/record_batch.h"
#include "runtime/contract_tools.h"
#include "runtime/simulated/run.h"
#include "wire/kafka/create_topics.h"
#include "wire/kafka/fetch.h"
#include "wire/kafka/list_offsets.h"
#include "wire/kafka/metadata.h"
#include "wire/kafka/offset_for_leader_epoch.h"
#include "wire/kafka/produce.h"

namespace qlab::broker {
namespace {

using runtime::SimulatedNode;
using std::chrono::seconds;
using wire::KafkaError;

constexpr NodeId client{100};
constexpr std::uint16_t kafka_port = 9092;
constexpr std::uint16_t peer_port = 9192;
const std::string topic = "orders";

runtime::Endpoint endpoint_of(NodeId node) {
  return {SimulatedNode::host_name(node), kafka_port};
}

NodeConfig config_of(NodeId node, int nodes) {
  std::string voters;
  for (int id = 1; id <= nodes; ++id) {
    voters += fmt::format("{}{}@{}:{}", id > 1 ? "," : "", id, SimulatedNode::host_name(NodeId{id}),
                          peer_port);
  }
  const std::string host = SimulatedNode::host_name(node);
  const auto settings = parse_properties(
      fmt::format("node.id={}\ncluster.id=AAECAwQFBgcICQoLDA0ODw\nlog.dir={}\nlistener={}:{}\n"
                  "peer.listener={}:{}\ncontroller.quorum.voters={}\n",
                  node, host, host, kafka_port, host, peer_port, voters),
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

Bytes batch_of(const std::string& value, std::int64_t timestamp = 1'700'000'000'000) {
  Record record;
  record.timestamp = timestamp;
  const ByteView bytes = as_view(value);
  record.value = Bytes(bytes.begin(), bytes.end());
  return encode_batch(std::vector<Record>(1, record));
}

wire::ProduceRequest produce_request(ByteView batch, std::int16_t acks = -1) {
  wire::ProduceRequest request;
  request.acks = acks;
  request.timeout_ms = 5000;
  request.topics.emplace_back().name = topic;
  request.topics[0].partitions.emplace_back().records = batch;
  return request;
}

class Cluster {
 public:
  explicit Cluster(std::uint64_t seed, int nodes) : nodes_(nodes), world_(seed) {
    for (int id = 1; id <= nodes; ++id) boot(NodeId{id});
    for (int id = 1; id <= nodes; ++id) wait_ready(NodeId{id});
  }

  runtime::SimulatedWorld& world() { return world_; }

  void boot(NodeId id) { world_.boot(id, boot_of(id)); }
  void crash(NodeId id) { world_.crash(id); }  // As when the power fails.
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
    Program(runtime::SimulatedWorld& world, NodeId id, int nodes) : gate(world.node(id)) {
      NodeEvents events;
      events.on_ready = [this] { ready = true; };
      events.on_fatal = [](const Error& error) { CHECK_MSG(false, error.message()); };
      node = std::make_unique<Node>(world.shards(id), config_of(id, nodes), std::move(events));
      gate.start([this] { return start(); });
    }
    Task<void> start() {
      const auto started = co_await node->start();
      CHECK_MSG(started.has_value(), started.error().message());
    }
    bool ready = false;
    std::unique_ptr<Node> node;
    runtime::Gate gate;
  };
  runtime::Boot boot_of(NodeId id) {
    return [this, id](runtime::Runtime&) {
      const auto program = std::make_shared<Program>(world_, id, nodes_);
      programs_[id] = program;
      return program;
    };
  }

  const int nodes_;
  std::map<NodeId, std::weak_ptr<Program>> programs_;
  runtime::SimulatedWorld world_;
};

using Values = std::vector<std::string>;
constexpr NodeId one{1};

struct Fixture {
  Fixture() { set_log_level(LogLevel::error); }
  ~Fixture() { set_log_level(LogLevel::info); }
};

BOOST_FIXTURE_TEST_SUITE(node, Fixture)

BOOST_DATA_TEST_CASE(what_one_node_acknowledged_is_there_after_the_power_failed,
                     boost::unit_test::data::xrange(1, 6), seed) {
  Cluster cluster(static_cast<std::uint64_t>(seed), 1);
  cluster.create_topic(one, 1);
  cluster.produce(one, "a");
  cluster.produce(one, "b");
  BOOST_TEST((cluster.consume(one) == Values{"a", "b"}));
  cluster.crash(one);
  cluster.boot(one);
  cluster.wait_ready(one);
  cluster.produce(one, "c");
  BOOST_TEST((cluster.consume(one) == Values{"a", "b", "c"}));
}

BOOST_DATA_TEST_CASE(a_leader_that_dies_takes_nothing_acknowledged_with_it_and_comes_back_in_sync,
                     boost::unit_test::data::xrange(1, 6), seed) {
  Cluster cluster(static_cast<std::uint64_t>(seed), 3);
  cluster.create_topic(one, 3);
  cluster.produce(one, "a");
  const NodeId old = cluster.partition(one).leader_id;
  const NodeId other = old == one ? NodeId{2} : one;
  cluster.crash(old);
  cluster.produce(other, "b");
  const auto now = cluster.partition(other);
  BOOST_TEST((now.leader_id != old));
  BOOST_TEST((cluster.consume(now.leader_id) == Values{"a", "b"}));

  cluster.boot(old);
  cluster.wait_ready(old);
  for (int i = 0; i < 100 && cluster.partition(other).isr_nodes.size() < 3; ++i) {
    cluster.world().run_for(std::chrono::milliseconds(100));
  }
  BOOST_TEST(cluster.partition(other).isr_nodes.size() == 3u);
}

BOOST_AUTO_TEST_CASE(a_node_that_is_stopped_hands_over_what_it_leads_first) {
  Cluster cluster(1, 3);
  cluster.create_topic(one, 3);
  cluster.produce(one, "a");
  const NodeId old = cluster.partition(one).leader_id;
  const NodeId other = old == one ? NodeId{2} : one;
  const Time before = cluster.world().now();
  cluster.stop(old);
  cluster.produce(other, "b");
  // Far less than broker.session.timeout.ms, by which a dead leader is found out.
  BOOST_TEST((cluster.world().now() - before < seconds(6)));
  BOOST_TEST((cluster.consume(cluster.partition(other).leader_id) == Values{"a", "b"}));
}

BOOST_AUTO_TEST_CASE(a_consumer_with_a_session_names_what_is_new_and_hears_what_is_new) {
  Cluster cluster(1, 1);
  cluster.create_topic(one, 1);
  wire::FetchRequest request;
  request.session_epoch = 0;
  request.min_bytes = 1;
  request.max_wait_ms = 100;
  request.topics.emplace_back().topic = topic;
  request.topics[0].partitions.emplace_back().partition_max_bytes = 1 << 20;
  const auto first = cluster.must(one, request, 12);
  const std::int32_t session = first.message.session_id;
  BOOST_REQUIRE(session > 0);
  BOOST_TEST(first.message.topics.size() == 1u);

  const auto next = [&](std::int32_t epoch) {
    request.session_id = session;
    request.session_epoch = epoch;
    return cluster.must(one, request, 12);
  };
  request.topics.clear();
  BOOST_TEST(next(1).message.topics.empty());
  cluster.produce(one, "a");
  const auto news = next(2);
  BOOST_REQUIRE(news.message.topics.size() == 1u);
  BOOST_TEST(!news.message.topics[0].partitions.at(0).records->empty());
  BOOST_TEST(news.message.session_id == session);
  BOOST_TEST((next(2).message.error_code == KafkaError::invalid_fetch_session_epoch));
  request.session_id = session + 1;
  BOOST_TEST((cluster.must(one, request, 12).message.error_code ==
              KafkaError::fetch_session_id_not_found));
}

BOOST_AUTO_TEST_CASE(a_consumer_names_topics_by_their_ids) {
  Cluster cluster(1, 1);
  cluster.create_topic(one, 1);
  cluster.produce(one, "a");
  wire::MetadataRequest which;
  which.topics.emplace().emplace_back().name = topic;
  const TopicId id = cluster.must(one, which, 12).message.topics.at(0).topic_id;
  wire::FetchRequest request;
  for (const TopicId& wanted : {id, TopicId{1, 1}}) {
    request.topics.emplace_back().topic_id = wanted;
    request.topics.back().partitions.emplace_back().partition_max_bytes = 1 << 20;
  }
  const auto answer = cluster.must(one, request, 17);
  BOOST_REQUIRE(answer.message.topics.size() == 2u);
  BOOST_TEST((answer.message.topics[0].topic_id == id));
  BOOST_TEST(!answer.message.topics[0].partitions.at(0).records->empty());
  BOOST_TEST(
      (answer.message.topics[1].partitions.at(0).error_code == KafkaError::unknown_topic_id));
}

BOOST_AUTO_TEST_CASE(a_fetch_with_nothing_to_read_waits_for_a_record_or_its_time) {
  Cluster cluster(1, 1);
  cluster.create_topic(one, 1);
  wire::FetchRequest request;
  request.min_bytes = 1;
  request.max_wait_ms = 3000;
  request.topics.emplace_back().topic = topic;
  request.topics[0].partitions.emplace_back().partition_max_bytes = 1 << 20;
  const Time begun = cluster.world().now();
  const auto in_vain = cluster.must(one, request, 11);
  BOOST_TEST(in_vain.message.topics.at(0).partitions.at(0).records->empty());
  BOOST_TEST((cluster.world().now() - begun >= seconds(3)));

  request.max_wait_ms = 60'000;
  const Time again = cluster.world().now();
  const auto waiting =
      runtime::begin(cluster.world(), client, call(cluster.world().node(client), one, request, 11));
  cluster.world().run_for(seconds(1));
  BOOST_TEST(!waiting->value.has_value());
  cluster.produce(one, "news");
  cluster.wait("the fetch", [&] { return waiting->value.has_value(); });
  BOOST_TEST((cluster.world().now() - again < seconds(3)));
  BOOST_TEST(!(*waiting->value)->message.topics.at(0).partitions.at(0).records->empty());
}

BOOST_AUTO_TEST_CASE(records_that_may_not_be_appended_are_refused_each_with_its_own_error) {
  Cluster cluster(1, 1);
  cluster.create_topic(one, 1);
  const Bytes good = batch_of("good");
  Bytes damaged = good;
  damaged.back() ^= std::byte{1};
  Bytes two = good;
  two.insert(two.end(), good.begin(), good.end());
  const Bytes large = batch_of(std::string(1'048'588, 'x'));
  Bytes leaping = good;  // Its one record would take many offsets.
  store_big<std::int32_t>(leaping.data() + 23, 1'000'000);
  store_big(leaping.data() + 17, crc32c(ByteView(leaping).subspan(batch_crc_start)));

  BOOST_TEST((cluster.append(one, damaged).error_code == KafkaError::corrupt_message));
  BOOST_TEST((cluster.append(one, two).error_code == KafkaError::invalid_record));
  BOOST_TEST((cluster.append(one, {}).error_code == KafkaError::invalid_record));
  BOOST_TEST((cluster.append(one, leaping).error_code == KafkaError::invalid_record));
  BOOST_TEST((cluster.append(one, large).error_code == KafkaError::message_too_large));
  BOOST_TEST((cluster.append(one, good, 2).error_code == KafkaError::invalid_required_acks));

  auto request = produce_request(good);
  request.topics[0].name = "nowhere";
  auto answer = cluster.must(one, request, 8);
  BOOST_TEST((answer.message.topics.at(0).partitions.at(0).error_code ==
              KafkaError::unknown_topic_or_partition));
  request.topics[0].name = topic;
  request.topics[0].partitions[0].index = PartitionIndex{1};
  answer = cluster.must(one, request, 8);
  BOOST_TEST((answer.message.topics.at(0).partitions.at(0).error_code ==
              KafkaError::unknown_topic_or_partition));

  BOOST_TEST((cluster.append(one, good).error_code == KafkaError::none));
  BOOST_TEST((cluster.consume(one) == Values{"good"}));
}

BOOST_AUTO_TEST_CASE(a_follower_sends_producers_and_consumers_away) {
  Cluster cluster(1, 3);
  cluster.create_topic(one, 3);
  cluster.produce(one, "a");
  const NodeId leader = cluster.partition(one).leader_id;
  const NodeId follower = leader == one ? NodeId{2} : one;
  const Bytes batch = batch_of("b");
  BOOST_TEST((cluster.append(follower, batch).error_code == KafkaError::not_leader_or_follower));
  wire::FetchRequest request;
  request.topics.emplace_back().topic = topic;
  request.topics[0].partitions.emplace_back().partition_max_bytes = 1 << 20;
  const auto answer = cluster.must(follower, request, 11);
  BOOST_TEST((answer.message.topics.at(0).partitions.at(0).error_code ==
              KafkaError::not_leader_or_follower));
}

BOOST_AUTO_TEST_CASE(a_leader_that_was_frozen_past_its_session_ends_no_producer) {
  Cluster cluster(1, 3);
  cluster.create_topic(one, 3);
  const auto batch_at = [](std::int32_t sequence) {
    BatchHeader header;
    header.producer_id = ProducerId{7};
    header.producer_epoch = 0;
    header.base_sequence = sequence;
    Record record;
    record.timestamp = 1'700'000'000'000;
    return encode_batch(std::vector<Record>(1, record), header);
  };
  const NodeId leader = cluster.partition(one).leader_id;
  BOOST_TEST((cluster.append(leader, batch_at(0)).error_code == KafkaError::none));
  // Nothing of its fencing reaches it, and the producer has gone on elsewhere.
  cluster.world().pause(leader);
  cluster.world().run_for(seconds(20));
  for (int id = 1; id <= 3; ++id) {
    if (NodeId{id} != leader) cluster.world().fabric().block(NodeId{id}, leader);
  }
  cluster.world().resume(leader);
  BOOST_TEST(
      (cluster.append(leader, batch_at(9)).error_code == KafkaError::not_leader_or_follower));
}

BOOST_DATA_TEST_CASE(the_end_that_a_new_leader_tells_is_not_before_what_was_acknowledged,
                     boost::unit_test::data::xrange(1, 6), seed) {
  Cluster cluster(static_cast<std::uint64_t>(seed), 3);
  cluster.create_topic(one, 3);
  cluster.produce(one, "a");
  const NodeId old = cluster.partition(one).leader_id;
  cluster.crash(old);
  // The one who does not lead takes long to tell the one who does what it has.
  const NodeId next{1 + old.value() % 3};
  const NodeId last{1 + next.value() % 3};
  cluster.world().fabric().slow_down(next, last, std::chrono::milliseconds(100));
  cluster.world().fabric().slow_down(last, next, std::chrono::milliseconds(100));
  cluster.world().run_for(seconds(6));
  wire::ListOffsetsRequest request;
  request.topics.emplace_back().name = topic;
  request.topics[0].partitions.emplace_back().timestamp = -1;
  std::optional<std::int64_t> end;
  for (int tries = 0; tries < 20'000 && !end; ++tries) {
    const auto answer = cluster.ask(tries % 2 == 0 ? next : last, request, 5);
    if (!answer) continue;
    const auto& got = answer->message.topics.at(0).partitions.at(0);
    if (got.error_code == KafkaError::none) end = got.offset.value();
  }
  BOOST_REQUIRE(end.has_value());
  BOOST_TEST(*end == 1);
}

BOOST_AUTO_TEST_CASE(offsets_are_found_by_their_ends_and_by_time) {
  Cluster cluster(1, 1);
  cluster.create_topic(one, 1);
  for (const std::int64_t timestamp : {1000, 3000, 2000, 3000}) {
    BOOST_TEST((cluster.append(one, batch_of("x", timestamp)).error_code == KafkaError::none));
  }
  const auto offset_at = [&](std::int64_t timestamp) {
    wire::ListOffsetsRequest request;
    request.topics.emplace_back().name = topic;
    request.topics[0].partitions.emplace_back().timestamp = timestamp;
    const auto answer = cluster.must(one, request, 7);
    return answer.message.topics.at(0).partitions.at(0).offset.value();
  };
  BOOST_TEST(offset_at(-1) == 4);
  BOOST_TEST(offset_at(-2) == 0);
  BOOST_TEST(offset_at(-3) == 1);  // The first of those with the largest timestamp.
  BOOST_TEST(offset_at(1000) == 0);
  BOOST_TEST(offset_at(1001) == 1);
  BOOST_TEST(offset_at(3000) == 1);
  BOOST_TEST(offset_at(3001) == -1);
}

BOOST_AUTO_TEST_CASE(an_epoch_ends_where_the_log_does_until_the_next_one_begins) {
  Cluster cluster(1, 1);
  cluster.create_topic(one, 1);
  cluster.produce(one, "a");
  const LeaderEpoch current = cluster.partition(one).leader_epoch;
  const auto end_of = [&](LeaderEpoch epoch) {
    wire::OffsetForLeaderEpochRequest request;
    request.topics.emplace_back().topic = topic;
    request.topics[0].partitions.emplace_back().leader_epoch = epoch;
    const auto answer = cluster.must(one, request, 3);
    return answer.message.topics.at(0).partitions.at(0).end_offset.value();
  };
  BOOST_TEST(end_of(current) == 1);
  BOOST_TEST(end_of(current.next()) == -1);
}

BOOST_AUTO_TEST_CASE(metadata_tells_all_topics_from_none_as_each_version_says_it) {
  Cluster cluster(1, 1);
  cluster.create_topic(one, 1);
  wire::MetadataRequest request;
  BOOST_TEST(cluster.must(one, request, 9).message.topics.size() == 1u);  // Null: all.
  request.topics.emplace();
  BOOST_TEST(cluster.must(one, request, 9).message.topics.empty());       // Empty: none, but
  BOOST_TEST(cluster.must(one, request, 0).message.topics.size() == 1u);  // all in version 0.
  request.topics->emplace_back().name = "nowhere";
  const auto unknown = cluster.must(one, request, 9);
  BOOST_TEST((unknown.message.topics.at(0).error_code == KafkaError::unknown_topic_or_partition));
  BOOST_TEST((unknown.message.controller_id == one));
}

BOOST_AUTO_TEST_CASE(
    a_bad_produce_without_acks_closes_the_connection_and_a_good_one_has_no_answer) {
  Cluster cluster(1, 1);
  cluster.create_topic(one, 1);
  const Bytes good = batch_of("good");
  Bytes damaged = good;
  damaged.back() ^= std::byte{1};
  set_log_level(LogLevel::error);
  const auto closed = cluster.ask(one, produce_request(damaged, 0), 8);
  BOOST_REQUIRE(!closed.has_value());
  BOOST_TEST((closed.error().code == Errc::closed));
  const auto unanswered =
      runtime::begin(cluster.world(), client,
                     call(cluster.world().node(client), one, produce_request(good, 0), 8));
  cluster.world().run_for(seconds(5));
  BOOST_TEST(!unanswered->value.has_value());
  BOOST_TEST((cluster.consume(one) == Values{"good"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::broker
