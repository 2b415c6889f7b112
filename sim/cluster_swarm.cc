#include "sim/cluster_swarm.h"

#include <algorithm>

#include <fmt/ranges.h>

#include "broker/modules.h"
#include "runtime/simulated/node.h"

namespace qlab::sim {
namespace {

using runtime::SimulatedNode;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::uint16_t kafka_port = 9092;
constexpr std::uint16_t peer_port = 9192;
constexpr std::uint16_t keeper_port = 2181;

runtime::WorldOptions draw_world(Prng& random) {
  runtime::WorldOptions world;
  world.trace_lines_max = 0;
  world.network.most = microseconds(random.between(100, 5'000));
  world.network.slow_chance = random.chance(0.5) ? 0.01 : 0;
  world.network.slow_most = milliseconds(random.between(20, 200));
  world.disk_sync.most = microseconds(random.between(100, 5'000));
  world.disk_sync.slow_chance = random.chance(0.2) ? 0.1 : 0.01;
  world.disk_sync.slow_most = milliseconds(random.between(20, 200));
  world.link_silence_max = milliseconds(random.between(500, 3000));
  return world;
}

void draw_nodes(Prng& random, ClusterSwarm& swarm) {
  const auto brokers = static_cast<int>(random.between(3, 5));
  for (int id = 1; id <= brokers; ++id) swarm.brokers.emplace_back(id);
  const int voters = random.chance(0.1) ? 1 : random.chance(0.15) && brokers == 5 ? 5 : 3;
  swarm.is_combined = random.chance(0.7);
  // A zk controller is a broker that serves the keeper as well.
  if (swarm.design == "zk") swarm.is_combined = true;
  for (int i = 1; i <= voters; ++i) swarm.voters.emplace_back(swarm.is_combined ? i : brokers + i);
}

template <class Value>
void set(ClusterSwarm& swarm, std::string_view key, Value value) {
  swarm.settings.push_back(fmt::format("{}={}", key, value));
}

void draw_controllers(Prng& random, ClusterSwarm& swarm) {
  const std::int64_t election = random.between(100, 500);
  set(swarm, "controller.quorum.election.timeout.ms", election);
  set(swarm, "controller.quorum.heartbeat.interval.ms", election / random.between(3, 8));
  if (random.chance(0.3)) {
    set(swarm, "controller.quorum.append.linger.ms", random.between(1, 5));
  }
  if (random.chance(0.6)) {
    set(swarm, "metadata.log.max.record.bytes.between.snapshots", random.between(1000, 20'000));
  }
  const std::int64_t heartbeat = random.between(50, 300);
  set(swarm, "broker.heartbeat.interval.ms", heartbeat);
  const std::int64_t session = std::max<std::int64_t>(300, heartbeat * random.between(3, 8));
  if (swarm.design == "zk") {
    set(swarm, "zookeeper.session.timeout.ms", session);
    set(swarm, "keeper.tick.ms", session / random.between(2, 10));
  } else {
    set(swarm, "broker.session.timeout.ms", session);
  }
  // A controller can be lost between any two entries of what it does.
  if (random.chance(0.6)) {
    set(swarm, "controller.records.per.entry", random.between(1, random.chance(0.5) ? 3 : 20));
    set(swarm, "controller.records.per.move", random.between(1, random.chance(0.5) ? 3 : 20));
  }
  set(swarm, "leader.imbalance.check.interval.seconds", random.between(1, 10));
  set(swarm, "leader.imbalance.per.broker.percentage", random.chance(0.5) ? 0 : 10);
}

void draw_storage(Prng& random, ClusterSwarm& swarm) {
  static constexpr std::string_view engines[] = {"buffered", "buffered", "uring",
                                                 "direct",   "mmap",     "memory"};
  const std::string_view engine = engines[random.below(std::size(engines))];
  static constexpr std::string_view durabilities[] = {"sync", "sync", "sync", "group", "none"};
  const std::string_view durability = durabilities[random.below(std::size(durabilities))];
  set(swarm, "engine", engine);
  set(swarm, "durability", durability);
  set(swarm, "log.layout", random.chance(0.7) ? "per_partition" : "shared");
  const bool keeps_pages = engine == "buffered" || engine == "mmap" || engine == "uring";
  swarm.loses_unsynced = durability == "sync" || !keeps_pages || random.chance(0.4);
  swarm.promises.records_stay =
      engine != "memory" && (durability == "sync" || !swarm.loses_unsynced);
}

void draw_replication(Prng& random, ClusterSwarm& swarm) {
  set(swarm, "replica.lag.time.max.ms", random.between(300, 3000));
  set(swarm, "replica.fetch.wait.max.ms", random.between(20, 500));
  set(swarm, "replica.fetch.backoff.ms", random.between(5, 100));
  if (random.chance(0.3)) set(swarm, "replica.fetch.max.bytes", random.between(1024, 4096));
  swarm.replicas_max = random.chance(0.8) ? 3 : 2;
  set(swarm, "min.insync.replicas", random.between(1, 2));
}

// Groups commit what a quorum has durably, whatever the durability of the partitions' logs. What
// they refuse, moves of partitions, the clients leave out with all other administration.
void draw_groups(Prng& random, ClusterSwarm& swarm) {
  set(swarm, "replicator", "consensus");
  const std::int64_t election = random.between(100, 500);
  set(swarm, "replicator.election.timeout.ms", election);
  set(swarm, "replicator.heartbeat.interval.ms", election / random.between(3, 8));
  if (random.chance(0.6)) set(swarm, "replicator.log.file.bytes", random.between(2'000, 50'000));
  std::replace(swarm.settings.begin(), swarm.settings.end(), std::string("engine=memory"),
               std::string("engine=buffered"));
  swarm.promises.records_stay = true;
  swarm.loses_unsynced = random.chance(0.8);
  swarm.admin_chance = 0;
  std::vector<std::string> others;
  for (const NodeId broker : swarm.brokers) {
    if (std::find(swarm.voters.begin(), swarm.voters.end(), broker) != swarm.voters.end()) continue;
    others.push_back(fmt::format("{}@{}:{}", broker, SimulatedNode::host_name(broker), peer_port));
  }
  set(swarm, "replicator.peers", fmt::format("{}", fmt::join(others, ",")));
  const auto modules = broker::group_modules();
  set(swarm, "replicator.module",
      modules[static_cast<std::size_t>(random.between(0, std::ssize(modules) - 1))]);
}

void draw_clients(Prng& random, ClusterSwarm& swarm) {
  swarm.clients = static_cast<int>(random.between(1, 3));
  swarm.operation_interval = milliseconds(random.between(10, 150));
  swarm.partitions_max = static_cast<std::int32_t>(random.between(1, 4));
  if (random.chance(0.2)) {
    swarm.churn_partitions_max = static_cast<std::int32_t>(random.between(20, 60));
  }
  swarm.topic_chance = random.unit() * 0.3;
  swarm.idempotent_clients = static_cast<int>(random.between(0, swarm.clients));
  swarm.session_clients = static_cast<int>(random.between(0, swarm.clients));
  if (random.chance(0.8)) swarm.admin_chance = random.unit() * 0.4;
}

}  // namespace

ClusterSwarm draw_cluster_swarm(Prng& random, const ClusterPlane& plane) {
  ClusterSwarm swarm;
  swarm.world = draw_world(random);
  swarm.design = plane.design;
  draw_nodes(random, swarm);
  set(swarm, "controller.design", plane.design);
  set(swarm, "consensus.module", plane.module);
  draw_controllers(random, swarm);
  draw_storage(random, swarm);
  draw_replication(random, swarm);
  swarm.promises.images_share_a_log = plane.shares_a_log();
  swarm.promises.targets_stay_valid = plane.shares_a_log();  // A zk controller knows who is up.
  draw_clients(random, swarm);
  if (plane.replicator == "consensus") draw_groups(random, swarm);
  return swarm;
}

runtime::Endpoint kafka_endpoint_of(NodeId broker) {
  return {SimulatedNode::host_name(broker), kafka_port};
}

std::vector<NodeId> ClusterSwarm::nodes() const {
  std::vector<NodeId> all = brokers;
  if (!is_combined) all.insert(all.end(), voters.begin(), voters.end());
  return all;
}

Result<broker::NodeConfig> ClusterSwarm::config_of(NodeId node) const {
  const std::string host = SimulatedNode::host_name(node);
  const bool is_broker = std::find(brokers.begin(), brokers.end(), node) != brokers.end();
  const bool is_voter = std::find(voters.begin(), voters.end(), node) != voters.end();
  std::vector<std::string> members;
  for (const NodeId voter : voters) {
    members.push_back(fmt::format("{}@{}:{}", voter, SimulatedNode::host_name(voter), peer_port));
  }
  std::string keeper;
  if (design == "zk") {
    std::vector<std::string> servers;
    for (const NodeId voter : voters) {
      servers.push_back(fmt::format("{}:{}", SimulatedNode::host_name(voter), keeper_port));
    }
    keeper = fmt::format("keeper.connect={}\n", fmt::join(servers, ","));
    if (is_voter) keeper += fmt::format("keeper.listener={}:{}\n", host, keeper_port);
  }
  const std::string text = fmt::format(
      "node.id={}\ncluster.id=AAECAwQFBgcICQoLDA0ODw\nlog.dir={}\nlistener={}:{}\n"
      "peer.listener={}:{}\ncontroller.quorum.voters={}\nprocess.roles={}\n{}{}\n",
      node, host, host, kafka_port, host, peer_port, fmt::join(members, ","),
      !is_broker ? "controller"
      : is_voter ? "broker,controller"
                 : "broker",
      keeper, fmt::join(settings, "\n"));
  TRY(const auto file, broker::parse_properties(text, "swarm"));
  return broker::make_config(file, {});
}

std::string ClusterSwarm::words() const {
  return fmt::format(
      "{} brokers, {} {} controllers, {} clients ({} idempotent, {} with sessions), {}{}",
      brokers.size(), voters.size(), is_combined ? "combined" : "separate", clients,
      idempotent_clients, session_clients, promises.records_stay ? "" : "records may be lost, ",
      fmt::join(settings, ", "));
}

}  // namespace qlab::sim
