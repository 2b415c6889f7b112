#pragma once
// Zk controllers on simulated nodes, a keeper for them, and brokers that only listen.

#include <map>
#include <memory>
#include <string>

#include "controller/administer.h"
#include "controller/zk/zk_controller.h"
#include "controller/zk/znodes.h"
#include "keeper/ensemble_test.h"
#include "wire/kafka/leader_and_isr.h"
#include "wire/kafka/stop_replica.h"
#include "wire/kafka/update_metadata.h"

namespace qlab::controller {

// What a broker was told. It refuses controllers of the past, as brokers do.
struct Listener {
  struct Told {
    NodeId leader;
    LeaderEpoch leader_epoch;
    std::vector<NodeId> isr;
    std::int32_t version = 0;
  };
  bool is_deaf = false;  // Answers nothing.
  BrokerEpoch epoch;     // Requests for an earlier one are refused, once it is set.
  std::int32_t controller_epoch = 0;
  std::map<TopicPartition, Told> replicas;             // LeaderAndIsr, less StopReplica.
  std::map<TopicPartition, LeaderEpoch> first_epochs;  // The first that LeaderAndIsr told of.
  std::map<TopicPartition, Told> metadata;             // UpdateMetadata.
  std::set<NodeId> live;                               // Likewise.
  // Of how many partitions the controller had told when it said that these are all.
  std::optional<std::size_t> known_when_all;
  std::set<TopicPartition> deleted;
  std::vector<std::string> faults;  // What no broker should be told.
  int refused = 0;

  Result<Bytes> take(wire::ApiKey api, const Bytes& request) {
    switch (api) {
      case wire::ApiKey::leader_and_isr:
        return take_leads(*decode_newest<wire::LeaderAndIsrRequest>(request));
      case wire::ApiKey::update_metadata:
        return take_metadata(*decode_newest<wire::UpdateMetadataRequest>(request));
      case wire::ApiKey::stop_replica:
        return take_stops(*decode_newest<wire::StopReplicaRequest>(request));
      default:
        return fail(Errc::unsupported, "no control request");
    }
  }

 private:
  template <class Request>
  wire::KafkaError check(const Request& request) {
    if (request.controller_epoch < controller_epoch) {
      ++refused;
      return wire::KafkaError::stale_controller_epoch;
    }
    if (epoch != BrokerEpoch{} && request.broker_epoch < epoch) {
      ++refused;
      return wire::KafkaError::stale_broker_epoch;
    }
    controller_epoch = request.controller_epoch;
    return wire::KafkaError::none;
  }
  void keep(std::map<TopicPartition, Told>& where, const TopicPartition& which, Told told) {
    const auto before = where.find(which);
    if (before != where.end() && before->second.leader_epoch == told.leader_epoch &&
        before->second.leader != told.leader) {
      faults.push_back(which.name() + " has two leaders in one epoch");
    }
    if (before != where.end() && before->second.version > told.version) {
      faults.push_back(which.name() + " went back");
    }
    where[which] = std::move(told);
  }
  Result<Bytes> take_leads(const wire::LeaderAndIsrRequest& request) {
    wire::LeaderAndIsrResponse response;
    response.error_code = check(request);
    if (response.error_code != wire::KafkaError::none) return encode_newest(response);
    for (const auto& topic : request.topic_states) {
      for (const auto& state : topic.partition_states) {
        first_epochs.try_emplace({topic.topic_name, state.partition_index}, state.leader_epoch);
        keep(replicas, {topic.topic_name, state.partition_index},
             {state.leader, state.leader_epoch, state.isr, state.partition_epoch});
      }
    }
    return encode_newest(response);
  }
  Result<Bytes> take_metadata(const wire::UpdateMetadataRequest& request) {
    wire::UpdateMetadataResponse response;
    response.error_code = check(request);
    if (response.error_code != wire::KafkaError::none) return encode_newest(response);
    if (request.controller_epoch > metadata_epoch_) told_.clear();
    metadata_epoch_ = request.controller_epoch;
    live.clear();
    for (const auto& broker : request.live_brokers) live.insert(broker.id);
    for (const auto& topic : request.topic_states) {
      for (const auto& state : topic.partition_states) {
        const TopicPartition which{topic.topic_name, state.partition_index};
        if (state.leader == NodeId{-2}) {
          metadata.erase(which);
        } else {
          told_.insert(which);
          keep(metadata, which, {state.leader, state.leader_epoch, state.isr, state.zk_version});
        }
      }
    }
    if (request.kind == 2) known_when_all = told_.size();
    return encode_newest(response);
  }
  Result<Bytes> take_stops(const wire::StopReplicaRequest& request) {
    wire::StopReplicaResponse response;
    response.error_code = check(request);
    if (response.error_code != wire::KafkaError::none) return encode_newest(response);
    for (const auto& topic : request.topic_states) {
      for (const auto& state : topic.partition_states) {
        const TopicPartition which{topic.topic_name, state.partition_index};
        if (state.delete_partition) {
          deleted.insert(which);
          replicas.erase(which);
        }
        response.partition_errors.push_back({which.topic, which.partition, wire::KafkaError::none});
      }
    }
    return encode_newest(response);
  }

  std::int32_t metadata_epoch_ = 0;
  std::set<TopicPartition> told_;  // By the controller of that epoch.
};

// Nodes with a controller and a broker each, from number 11 on.
class Cluster {
 public:
  static constexpr Duration session_timeout = std::chrono::seconds(2);

  explicit Cluster(std::uint64_t seed, int nodes = 3, int keepers = 1)
      : ensemble(seed, ensemble_options(keepers)) {
    observer_ = ensemble.add_client();
    for (int i = 1; i <= nodes; ++i) boot(NodeId{10 + i});
  }

  // A life of a node: its controller starts, and its broker registers until it is let in.
  void boot(NodeId id) {
    listeners[id] = {};
    world().boot(id, [&](runtime::Runtime& runtime) {
      auto program = std::make_shared<Program>(*this, runtime, id);
      programs_[id] = program;
      return program;
    });
  }
  void crash(NodeId id) {
    world().crash(id);
    listeners[id] = {};
    listeners[id].is_deaf = true;
  }

  runtime::SimulatedWorld& world() { return ensemble.world; }
  ZkController& at(NodeId id) { return programs_.at(id).lock()->controller; }
  bool is_up(NodeId id) const {
    const auto found = programs_.find(id);
    return found != programs_.end() && !found->second.expired();
  }
  std::optional<BrokerEpoch> epoch_of(NodeId id) { return programs_.at(id).lock()->epoch; }
  std::optional<NodeId> active() {
    for (const auto& [id, program] : programs_) {
      const auto alive = program.lock();
      if (alive && alive->controller.is_active()) return id;
    }
    return std::nullopt;
  }
  NodeId until_active() {
    ensemble.until([&] { return active().has_value(); });
    return *active();
  }
  // All nodes that are up are registered, and each knows of all of them.
  void until_ready() {
    ensemble.until([&] {
      if (!active()) return false;
      std::set<NodeId> up;
      for (const auto& [id, program] : programs_) {
        const auto alive = program.lock();
        if (alive && !alive->epoch) return false;
        if (alive) up.insert(id);
      }
      return std::all_of(up.begin(), up.end(), [&](NodeId id) { return listeners[id].live == up; });
    });
  }

  template <class T>
  T run(NodeId node, Task<T> task) {
    return runtime::run(world(), node, std::move(task));
  }
  Time deadline(NodeId node, Duration after = std::chrono::seconds(30)) {
    return world().node(node).now() + after;
  }
  static NewTopic topic(std::string name, std::vector<std::vector<NodeId>> assignment) {
    NewTopic topic;
    topic.name = std::move(name);
    topic.assignment = std::move(assignment);
    return topic;
  }
  static NewTopic placed(std::string name, std::int32_t partitions, std::int16_t factor) {
    NewTopic topic;
    topic.name = std::move(name);
    topic.partitions = partitions;
    topic.replication_factor = factor;
    return topic;
  }
  TopicOutcome create(NewTopic topic) {
    const NodeId leader = until_active();
    std::vector<NewTopic> topics(1, std::move(topic));
    auto made = run(leader, at(leader).create_topics(std::move(topics), false, deadline(leader)));
    CHECK_MSG(made.has_value(), made.error().message());
    return made->front();
  }
  TopicOutcome remove(const std::string& name) {
    const NodeId leader = until_active();
    std::vector<std::string> names(1, name);
    auto gone = run(leader, at(leader).delete_topics(std::move(names), deadline(leader)));
    CHECK_MSG(gone.has_value(), gone.error().message());
    return gone->front();
  }

  // What the keeper has, as a client of its own reads it. Nothing: there is no such znode.
  std::optional<std::string> znode(const std::string& path) {
    const auto reply = ensemble.ask(observer_, get_request(path));
    CHECK(reply.has_value());
    if (reply->error != wire::keeper::ErrorCode::ok) return std::nullopt;
    const auto znode = decode_znode(*reply);
    return std::string(as_text(znode->data));
  }
  std::optional<znodes::StateValue> state(const std::string& topic, int partition) {
    const auto text = znode(znodes::state(topic, PartitionIndex{partition}));
    if (!text) return std::nullopt;
    return *znodes::decode_state("state", as_view(*text));
  }
  // Writes past every controller.
  void write(KeeperRequest request) {
    const auto reply = ensemble.ask(observer_, std::move(request));
    CHECK(reply.has_value());
  }
  // Without a word to the keeper, so that time stands still.
  bool has(const std::string& path) { return keeper_tree().find(path) != keeper::no_slot; }
  // Requires: has(path).
  wire::keeper::Stat stat(const std::string& path) {
    return keeper_tree().stat_of(keeper_tree().find(path));
  }
  std::string data(const std::string& path) {
    const auto data = keeper_tree().data_of(keeper_tree().find(path));
    return std::string(as_text(data.value_or(ByteView{})));
  }
  // Counts the entries that the keeper has applied.
  std::int64_t zxid() { return ensemble.server(NodeId{1})->machine.state().zxid(); }

  keeper::Ensemble ensemble;
  std::map<NodeId, Listener> listeners;

 private:
  struct Program {
    Program(Cluster& cluster, runtime::Runtime& runtime, NodeId id)
        : controller(runtime, options_for(id),
                     [&cluster, &runtime](NodeId to, wire::ApiKey api, Bytes request, Time due) {
                       return carry(cluster, runtime, to, api, std::move(request), due);
                     }),
          gate(runtime) {
      controller.start();
      gate.start([this, &cluster, &runtime, id] { return live(*this, cluster, runtime, id); });
    }
    ZkController controller;
    std::optional<BrokerEpoch> epoch;
    runtime::Gate gate;
  };

  const keeper::Tree& keeper_tree() { return ensemble.server(NodeId{1})->machine.state().tree(); }
  static keeper::EnsembleOptions ensemble_options(int keepers) {
    keeper::EnsembleOptions options;
    options.servers = keepers;
    return options;
  }
  static ZkOptions options_for(NodeId id) {
    ZkOptions options;
    options.self = id;
    options.keepers.push_back({runtime::SimulatedNode::host_name(NodeId{1}), 2181});
    options.session_timeout = session_timeout;
    options.partitions_per_request_max = 3;
    options.partitions_born_at_once = 5;
    return options;
  }
  static Task<Result<Bytes>> carry(Cluster& cluster, runtime::Runtime& runtime, NodeId to,
                                   wire::ApiKey api, Bytes request, Time due) {
    co_await runtime::sleep_for(runtime, std::chrono::milliseconds(1));
    if (api == wire::ApiKey::controlled_shutdown) {
      if (!cluster.is_up(to)) co_return fail(Errc::timed_out, "it is down");
      const auto program = cluster.programs_.at(to).lock();
      co_return co_await program->controller.controlled_shutdown(std::move(request), due);
    }
    if (cluster.listeners[to].is_deaf) {
      co_await runtime::sleep_for(runtime, std::chrono::milliseconds(50));
      co_return fail(Errc::timed_out, "broker {} does not answer", to);
    }
    co_return cluster.listeners[to].take(api, request);
  }
  // Registers again whenever its registration is over.
  static Task<void> live(Program& program, Cluster& cluster, runtime::Runtime& runtime, NodeId id) {
    Registration registration;
    registration.broker = id;
    registration.endpoint = {runtime::SimulatedNode::host_name(id), 9092};
    for (;;) {
      const Time due = runtime.now() + std::chrono::seconds(1);
      const auto epoch = co_await program.controller.register_broker(registration, due);
      if (!epoch && epoch.error().code == Errc::closed) co_return;
      if (epoch) {
        program.epoch = *epoch;
        cluster.listeners[id].epoch = *epoch;
        co_await beat_until_fenced(program, runtime, id);
        program.epoch.reset();
      }
      co_await runtime::sleep_for(runtime, std::chrono::milliseconds(50));
    }
  }
  static Task<void> beat_until_fenced(Program& program, runtime::Runtime& runtime, NodeId id) {
    Heartbeat heartbeat;
    heartbeat.broker = id;
    heartbeat.epoch = *program.epoch;
    for (;;) {
      const Time due = runtime.now() + std::chrono::seconds(1);
      const auto beat = co_await program.controller.heartbeat(heartbeat, due);
      const bool is_over =
          !beat && (beat.error().code == Errc::fenced || beat.error().code == Errc::closed);
      if (is_over) co_return;
      co_await runtime::sleep_for(runtime, std::chrono::milliseconds(50));
    }
  }

  std::shared_ptr<keeper::ClientProgram> observer_;
  std::map<NodeId, std::weak_ptr<Program>> programs_;
};

}  // namespace qlab::controller
