#pragma once
// A whole cluster in a simulated world: its nodes, its clients, and what shows of them.

#include <map>
#include <memory>
#include <vector>

#include "runtime/simulated/world.h"
#include "sim/cluster_client.h"
#include "sim/cluster_history.h"
#include "sim/cluster_node.h"
#include "sim/cluster_swarm.h"

namespace qlab::sim {

class Cluster {
 public:
  // All nodes boot, and the clients begin.
  Cluster(runtime::SimulatedWorld& world, ClusterSwarm swarm);

  const ClusterSwarm& swarm() const { return swarm_; }
  const std::vector<NodeId>& nodes() const { return nodes_; }
  ClusterHistory& history() { return history_; }
  runtime::SimulatedWorld& world() { return world_; }
  const std::vector<std::shared_ptr<ClusterClient>>& clients() const { return clients_; }

  bool is_up(NodeId id) { return world_.node(id).is_up(); }
  void boot(NodeId id);
  void boot_all();  // Those that are down.
  // Null unless the node is up.
  ClusterNode* node(NodeId id);
  // Some node that says it decides; null when none does. Several may.
  std::optional<NodeId> a_controller();
  // Those that were stopped in an orderly way, and have come to their end, go down.
  void take_down_stopped();

  // Puts what has come to show since the last call into the history. Called after every event:
  // images and controllers are looked at each time, replicas every few milliseconds.
  void look();
  // Why the cluster is not whole, in words; nothing: all nodes are ready and unfenced, all know the
  // same metadata, every partition is led with all of its replicas in sync, the replicas that
  // brokers have are just those, and end where the others do.
  std::optional<std::string> what_is_missing();

 private:
  struct Seat {
    std::weak_ptr<ClusterNode> program;
    metadata::ImagePtr image;  // As last looked at, in this life.
    metadata::ImagePtr told;   // Likewise: what its replicas are to do.
    std::optional<Epoch> decides;
    struct Replica {
      TopicPartition partition;
      std::weak_ptr<replication::Replicator> replica;
      LeaderEpoch led = no_leader_epoch;  // Told to the history.
    };
    std::vector<Replica> replicas;
    bool are_replicas_old = true;
  };

  ClientOptions client_options(int number) const;
  void look_at(NodeId id, Seat& seat, bool at_replicas);
  void look_at_replicas(NodeId id, Seat& seat);
  std::size_t moves_told() const;
  void refresh_replicas(const ClusterNode& program, Seat& seat);
  std::optional<std::string> missing_of(NodeId id, const metadata::Image& expected);
  std::optional<std::string> who_is_behind();

  runtime::SimulatedWorld& world_;
  const ClusterSwarm swarm_;
  const std::vector<NodeId> nodes_;
  ClusterHistory history_;
  std::map<NodeId, broker::NodeConfig> configs_;
  std::map<NodeId, Seat> seats_;
  std::vector<std::shared_ptr<ClusterClient>> clients_;
  std::map<std::pair<TopicId, PartitionIndex>, LeaderEpoch> newest_;  // Epochs that replicas led.
  Time replicas_due_ = Time::min();  // When replicas are looked at next.
  Time refresh_due_ = Time::min();   // When it is asked anew which there are.
};

}  // namespace qlab::sim
