#include "replication/test_cluster.h"

#include <algorithm>

#include "replication/fetch_reader.h"
#include "replication/fetch_sessions.h"
#include "runtime/network.h"
#include "runtime/stream_io.h"
#include "wire/kafka/fetch.h"
#include "wire/kafka/frame.h"

namespace qlab::replication {
namespace {

constexpr std::uint16_t port = 9092;
constexpr std::uint16_t peer_port = 9192;

}  // namespace

// What runs on a node: an engine, the replicas, and the server of their fetches.
struct TestCluster::Program final : runtime::TransportHandler {
  Program(runtime::Runtime& world, NodeId self, BrokerEpoch epoch, TestCluster& test)
      : runtime(world),
        cluster(test),
        engine(storage::make_engine("buffered", world).value()),
        layout(storage::make_layout("per_partition", world, *engine).value()),
        context{self,
                cluster.options_,
                [&test, self](IsrProposal proposal) {
                  return test.alter_isr(self, std::move(proposal));
                },
                [](Error error) { CHECK_MSG(false, error.message()); },
                [epoch] { return epoch; },
                {},
                0,
                1,
                groups_of(world, test)},
        replicas(world, *layout, context),
        sessions({&world}, {}),
        gate(world) {
    gate.start([this] { return listen(); });
    gate.start([this] { return join(); });
  }

  static std::optional<GroupsContext> groups_of(runtime::Runtime& world, TestCluster& test) {
    if (!test.groups_) return std::nullopt;
    GroupsContext groups{test.groups_, {}, {}, {}};
    groups.tuning.election_timeout = std::chrono::milliseconds(300);
    groups.tuning.heartbeat_interval = std::chrono::milliseconds(50);
    groups.log_file_bytes = 64u << 10;
    groups.send = [&world](NodeId to, Bytes message) {
      const bool is_sent =
          world.transport().send(to, runtime::Channel::partition_groups, std::move(message));
      if (!is_sent) world.transport().close_link(to);
    };
    groups.close_link = [&world](NodeId peer) { world.transport().close_link(peer); };
    return groups;
  }

  // What a node learns from the metadata log after its start: everything.
  Task<void> join() {
    if (cluster.groups_) {
      const auto opened = co_await replicas.open_groups(*engine);
      CHECK_MSG(opened.has_value(), opened.error().message());
      runtime::TransportIdentity identity;
      identity.node = context.self;
      identity.cluster_id = "test";
      identity.listen = {runtime::SimulatedNode::host_name(context.self), peer_port};
      for (const NodeId peer : nodes) {
        if (peer == context.self) continue;
        identity.peers[peer] = {runtime::SimulatedNode::host_name(peer), peer_port};
      }
      const auto started = co_await runtime.transport().start(std::move(identity), *this, {});
      CHECK_MSG(started.has_value(), started.error().message());
    }
    auto delta = std::make_shared<metadata::Delta>();
    delta->topics.insert(topic_id);
    replicas.on_metadata(cluster.image_, delta);
    joined = true;
  }

  void on_message(NodeId from, runtime::LinkEpoch link, runtime::Channel, Bytes payload) override {
    replicas.on_group_message(from, link, payload);
  }
  void on_link_up(NodeId peer, runtime::LinkEpoch link) override {
    replicas.on_link_up(peer, link);
  }
  void on_link_down(NodeId peer, runtime::LinkEpoch link) override {
    replicas.on_link_down(peer, link);
  }

  Task<void> listen() {
    runtime::Endpoint endpoint{runtime::SimulatedNode::host_name(context.self), port};
    auto listening = co_await runtime.network().listen(std::move(endpoint));
    listener = std::move(listening).value();
    while (true) {
      auto accepted = co_await listener->accept();
      if (!accepted) co_return;
      streams.push_back(std::move(*accepted));
      gate.start([this, stream = streams.back().get()] { return serve(stream); });
    }
  }

  Task<void> serve(runtime::Stream* stream) {
    while (true) {
      Bytes length(wire::frame_length_bytes);
      const auto announced = co_await runtime::read_exactly(*stream, length);
      if (!announced) co_return;
      Bytes body(wire::decode_frame_length(length, 1u << 20).value());
      const auto arrived = co_await runtime::read_exactly(*stream, body);
      if (!arrived || cluster.mute_[context.self]) co_return;
      BytesReader in(body);
      const auto header = wire::decode_request_header(in).value();
      const auto request = wire::decode<wire::FetchRequest>(in, header.api_version).value();
      Bytes frame = co_await answer(header, request);
      std::vector<ByteView> pieces(1, frame);
      const auto sent = co_await stream->write(std::move(pieces));
      if (!sent) co_return;
    }
  }

  // As the broker's handler of Fetch, in the plainest form.
  Task<Bytes> answer(wire::RequestHeader header, wire::FetchRequest request) {
    wire::FetchResponse response;
    std::optional<FetchReader> reader;
    if (std::exchange(forgets, false)) request.session_id = -1;
    const auto use = sessions.begin(request, true, runtime.now());
    if (!use) response.error_code = use.error();
    if (use) {
      FetchLimits limits{1u << 20, 1,
                         runtime.now() + std::chrono::milliseconds(request.max_wait_ms)};
      FetchSession& session = *use->session;
      reader.emplace(
          runtime, session, limits,
          [this, &session, &request](FetchSession::Slot slot, std::size_t bytes_max, bool listens) {
            return look(session, request, slot, bytes_max, listens);
          },
          use->is_full, use->id != 0);
      co_await reader->read([] { return false; });
      response.session_id = use->id;
      fill(*use, *reader, response);
    }
    BytesWriter frame;
    const auto encoded =
        wire::encode_response_frame(frame, header.api_version, header.correlation_id, response);
    CHECK(encoded.has_value());
    if (use) {
      reader->mark_unsettled();
      sessions.end(*use);
    }
    co_return frame.take();
  }

  Task<Result<FetchOutcome>> look(FetchSession& session, const wire::FetchRequest& request,
                                  FetchSession::Slot slot, std::size_t bytes_max, bool listens) {
    ++looks;
    const FetchSession::Entry entry = session.at(slot);
    const auto replica = replicas.find(entry.topic->id, entry.wanted.partition);
    if (replica == nullptr) co_return fail(Errc::not_found, "there is no such partition");
    if (listens) session.feed().part(slot, 0).look(slot, *replica);
    const ReplicaFetch fetch{reader_of(request), request.replica_state.replica_epoch,
                             entry.wanted.fetch_offset, entry.wanted.last_fetched_epoch,
                             entry.wanted.log_start_offset};
    co_return co_await replica->fetch_as_replica(fetch, entry.wanted.current_leader_epoch,
                                                 bytes_max);
  }

  static void fill(const FetchSessions::Use& use, FetchReader& reader,
                   wire::FetchResponse& response) {
    for (auto& [slot, found] : reader.found()) {
      FetchSession::Entry& entry = use.session->at(slot);
      wire::FetchResponse::Partition partition;
      partition.partition_index = entry.wanted.partition;
      partition.records = ByteView{};
      if (!found.outcome) {
        partition.error_code = wire::kafka_error_of(found.outcome.error().code);
        partition.high_watermark = Offset{-1};
      } else {
        const FetchOutcome& outcome = *found.outcome;
        if (outcome.is_out_of_range) partition.error_code = wire::KafkaError::offset_out_of_range;
        partition.high_watermark = outcome.high_watermark;
        partition.log_start_offset = outcome.log_start;
        partition.records = outcome.batches;
        if (outcome.diverging)
          partition.diverging_epoch = {outcome.diverging->epoch, outcome.diverging->end};
      }
      if (!entry.tell(partition) && !use.is_full) continue;
      auto& topic = response.topics.emplace_back();
      topic.topic_id = entry.topic->id;
      topic.partitions.push_back(partition);
    }
  }

  runtime::Runtime& runtime;
  TestCluster& cluster;
  std::unique_ptr<storage::Engine> engine;
  std::unique_ptr<storage::Layout> layout;
  ReplicasContext context;
  Replicas replicas;
  FetchSessions sessions;
  bool joined = false;      // It has heard of the cluster.
  bool forgets = false;     // The session of the next request.
  std::uint64_t looks = 0;  // At partitions, to answer fetches.
  std::unique_ptr<runtime::Listener> listener;
  std::vector<std::unique_ptr<runtime::Stream>> streams;
  runtime::Gate gate;
};

metadata::Records TestCluster::registration_of(NodeId node, BrokerEpoch epoch) {
  metadata::RegisterBrokerRecord broker;
  broker.broker_id = node;
  broker.broker_epoch = epoch;
  broker.host = runtime::SimulatedNode::host_name(node);
  broker.port = port;
  metadata::UnfenceBrokerRecord let_in;
  let_in.broker_id = node;
  let_in.broker_epoch = epoch;
  return {broker, let_in};
}

TestCluster::TestCluster(std::uint64_t seed, ReplicationOptions options, std::int32_t partitions,
                         consensus::ModuleFactory groups)
    : options_(options), groups_(std::move(groups)), world_(seed) {
  metadata::TopicRecord made;
  made.name = topic;
  made.topic_id = topic_id;
  metadata::PartitionRecord born;
  born.topic_id = topic_id;
  born.replicas = born.isr = nodes;
  born.leader = nodes.front();
  metadata::Records records{made};
  for (std::int32_t p = 0; p < partitions; ++p) {
    born.partition = PartitionIndex{p};
    records.emplace_back(born);
  }
  for (NodeId node : nodes) {
    for (auto& record : registration_of(node, BrokerEpoch{node.value()})) records.push_back(record);
    up_[node] = false;
  }
  decide(records);
  for (NodeId node : nodes) {
    up_[node] = true;
    world_.boot(node, boot_of(node));
  }
}

TestCluster::~TestCluster() = default;

runtime::Boot TestCluster::boot_of(NodeId node) {
  return [this, node](runtime::Runtime& runtime) {
    auto program = std::make_shared<Program>(runtime, node, image_->broker(node)->epoch, *this);
    programs_[node] = program;
    return program;
  };
}

Replicator* TestCluster::replica(NodeId node) {
  const auto program = programs_[node].lock();
  return program ? program->replicas.find(topic_id, index).get() : nullptr;
}

void TestCluster::decide(metadata::Records records) {
  auto delta = std::make_shared<metadata::Delta>();
  image_ = std::make_shared<const metadata::Image>(
      image_->replay(records, LogIndex{++entries_}, *delta));
  for (NodeId node : nodes) {
    // News takes its time, a different one to each, and sometimes long; but it stays in order.
    const std::int64_t slowest = world_.random().chance(0.2) ? 300'000 : 20'000;
    Time& due = news_due_[node];
    due = std::max(due,
                   world_.now() + std::chrono::microseconds(world_.random().between(1, slowest)));
    world_.at(due, [this, node, image = image_, delta] {
      const auto program = programs_[node].lock();
      if (program && up_[node] && program->joined) program->replicas.on_metadata(image, delta);
    });
  }
}

Task<Result<IsrAnswer>> TestCluster::alter_isr(NodeId from, IsrProposal proposal) {
  co_await runtime::sleep_for(world_.node(from), std::chrono::milliseconds(1));
  const metadata::Partition& now = partition();
  const bool may_ask = now.leader == from || (groups_ && proposal.claims_leadership);
  if (!may_ask || now.leader_epoch != proposal.leader_epoch ||
      now.partition_epoch != proposal.partition_epoch) {
    co_return fail(Errc::fenced, "stale");
  }
  for (std::size_t m = 0; m < proposal.isr.size(); ++m) {
    const NodeId member = proposal.isr[m];
    if (!up_[member]) co_return fail(Errc::invalid, "node {} is down", member);
    const BrokerEpoch epoch = proposal.isr_epochs.at(m);
    if (epoch.value() != -1 && epoch != image_->broker(member)->epoch) {
      ++stale_members_;
      co_return fail(Errc::invalid, "node {} has restarted", member);
    }
  }
  metadata::PartitionChangeRecord change;
  change.topic_id = topic_id;
  change.partition = index;
  change.isr = proposal.isr;
  if (proposal.claims_leadership && now.leader != from) change.leader = from;
  decide({change});
  // One answer in four is lost on its way: the leader does not know what became of its proposal.
  if (world_.random().chance(0.25)) co_return fail(Errc::timed_out, "no answer");
  co_return IsrAnswer{partition().partition_epoch, partition().isr};
}

void TestCluster::crash(NodeId node, runtime::CrashOptions how) {
  up_[node] = false;
  world_.crash(node, how);
  metadata::PartitionChangeRecord change;
  change.topic_id = topic_id;
  change.partition = index;
  std::vector<NodeId> remaining = partition().isr;
  if (remaining.size() > 1 && std::erase(remaining, node) > 0) change.isr = remaining;
  if (partition().leader == node) {
    const auto next =
        std::find_if(remaining.begin(), remaining.end(), [&](NodeId n) { return up_[n]; });
    change.leader = next == remaining.end() ? no_node : *next;
  }
  if (change.isr || change.leader != NodeId{-2}) decide({change});
}

void TestCluster::move_leadership(NodeId to) {
  metadata::PartitionChangeRecord change;
  change.topic_id = topic_id;
  change.partition = index;
  change.leader = to;
  decide({change});
}

void TestCluster::restart(NodeId node) {
  up_[node] = true;
  decide(registration_of(node, image_->last_broker_epoch().next()));
  world_.boot(node, boot_of(node));
  const auto& isr = partition().isr;
  if (partition().leader != no_node || std::find(isr.begin(), isr.end(), node) == isr.end()) return;
  metadata::PartitionChangeRecord change;
  change.topic_id = topic_id;
  change.partition = index;
  change.leader = node;
  decide({change});
}

Result<storage::AppendResult> TestCluster::append(NodeId node, Bytes batch, Acks acks,
                                                  Duration limit) {
  Replicator* target = replica(node);
  if (target == nullptr || !up_[node]) return fail(Errc::not_leader, "node {} is down", node);
  const auto outcome = runtime::begin(
      world_, node, target->append(std::move(batch), acks, world_.node(node).now() + limit));
  const auto ended =
      world_.run_until([&] { return outcome->value.has_value() || !up_[node]; }, limit * 2);
  if (!ended || !outcome->value)
    return fail(Errc::unknown_outcome, "node {} crashed meanwhile", node);
  return *outcome->value;
}

bool TestCluster::produce(std::string value, Acks acks, Duration limit) {
  Record record;
  record.timestamp = 1'700'000'000'000;
  record.value = Bytes(as_view(value).begin(), as_view(value).end());
  if (leader() == no_node) return false;
  return append(leader(), encode_batch({record}), acks, limit).has_value();
}

void TestCluster::forget_sessions(NodeId node) {
  programs_.at(node).lock()->forgets = true;
}

void TestCluster::tell_groups(NodeId node, NodeId from, const GroupItem& item) {
  Bytes message;
  Outbox outbox(world_.node(from), [&](NodeId, Bytes sent) { message = std::move(sent); });
  outbox.put(node, item, true);
  outbox.flush();
  programs_.at(node).lock()->replicas.on_group_message(from, runtime::LinkEpoch{1}, message);
}

const GroupHost& TestCluster::groups(NodeId node) {
  return *programs_.at(node).lock()->replicas.groups();
}

TestCluster::Looks TestCluster::looks(NodeId node) {
  const auto program = programs_.at(node).lock();
  return {program->replicas.fetch_looks(), program->looks};
}

Result<void> TestCluster::converge(Duration limit) {
  return world_.run_until(
      [&] {
        if (leader() == no_node || !up_[leader()] || replica(leader()) == nullptr) return false;
        Replicator& leads = *replica(leader());
        if (!leads.is_leader() || leads.high_watermark() != leads.log().end()) return false;
        for (NodeId node : nodes) {
          if (!up_[node]) continue;
          Replicator* other = replica(node);
          if (other == nullptr || other->log().end() != leads.log().end()) return false;
          if (other->high_watermark() != leads.high_watermark()) return false;
        }
        return true;
      },
      limit);
}

std::vector<std::string> TestCluster::values(NodeId node) {
  std::vector<std::string> found;
  storage::Log& log = replica(node)->log();
  for (Offset at = log.start(); at < replica(node)->high_watermark();) {
    const auto read =
        runtime::run(world_, node, log.read(at, replica(node)->high_watermark(), 1u << 20)).value();
    ByteView left = read.batches;
    while (!left.empty()) {
      const auto header = check_batch(left).value();
      const ByteView batch = left.first(header.total_bytes());
      const auto records = decode_records(batch).value();
      for (const Record& record : records) found.emplace_back(as_text(*record.value));
      left = left.subspan(header.total_bytes());
    }
    at = read.next;
  }
  return found;
}

}  // namespace qlab::replication
