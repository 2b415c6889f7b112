#pragma once
// The program of a node of a simulated cluster: a broker::Node, as the real process runs it.

#include <memory>

#include "broker/node.h"
#include "runtime/async.h"
#include "runtime/simulated/world.h"
#include "sim/cluster_history.h"

namespace qlab::sim {

class ClusterNode {
 public:
  // Begins to start. Requires: `world`, `config` and `history` outlive it.
  ClusterNode(runtime::SimulatedWorld& world, const broker::NodeConfig& config,
              ClusterHistory& history);

  const broker::Node& node() const { return *node_; }
  bool is_ready() const { return ready_; }
  // Begins a controlled shutdown. No effect before it has started, nor the second time.
  void stop();
  bool has_stopped() const { return stopped_; }

 private:
  runtime::Task<void> start();
  runtime::Task<void> stop_now();
  void refuse(std::string_view where, const Error& why);

  const NodeId id_;
  ClusterHistory& history_;
  bool started_ = false;
  bool ready_ = false;
  bool stopping_ = false;
  bool stopped_ = false;
  std::unique_ptr<broker::Node> node_;
  runtime::Gate gate_;
};

}  // namespace qlab::sim
