#pragma once
// What a simulated cluster is like: every knob is drawn from the seed, within the bounds that a
// node's config allows.

#include <string>
#include <vector>

#include "broker/config.h"
#include "runtime/simulated/options.h"
#include "sim/cluster_history.h"
#include "sim/cluster_plane.h"

namespace qlab::sim {

struct ClusterSwarm {
  std::vector<NodeId> brokers;  // From 1.
  std::vector<NodeId> voters;   // The controllers: some of the brokers, or nodes after them.
  bool is_combined = true;      // The voters are brokers.
  std::string design;           // controller.design
  runtime::WorldOptions world;
  std::vector<std::string> settings;  // Of all nodes, as `key=value`.
  Promises promises;
  // A crash may lose what was not synced. False only where records stay because it does not.
  bool loses_unsynced = true;

  int clients = 2;
  Duration operation_interval{};  // Of a client, on average.
  std::int32_t partitions_max = 3;
  std::int16_t replicas_max = 3;
  std::int32_t churn_partitions_max = 8;  // Of topics without data.
  double topic_chance = 0.1;              // That an operation creates or deletes topics.
  double admin_chance = 0;     // That it grows topics, moves partitions, elects, or sets configs.
  int idempotent_clients = 0;  // So many, from the first, have idempotent producers, ...
  int session_clients = 0;     // ... and so many fetch in sessions.

  std::string words() const;
  std::vector<NodeId> nodes() const;
  // Errors: as of make_config: a defect of the swarm.
  Result<broker::NodeConfig> config_of(NodeId node) const;
};

ClusterSwarm draw_cluster_swarm(Prng& random, const ClusterPlane& plane);

// Where a broker serves clients.
runtime::Endpoint kafka_endpoint_of(NodeId broker);

}  // namespace qlab::sim
