#include "sim/cluster_node.h"

namespace qlab::sim {

ClusterNode::ClusterNode(runtime::SimulatedWorld& world, const broker::NodeConfig& config,
                         ClusterHistory& history)
    : id_(config.node), history_(history), gate_(world.node(config.node)) {
  broker::NodeEvents events;
  events.on_ready = [this] { ready_ = true; };
  events.on_fatal = [this](const Error& error) { refuse("gives up", error); };
  node_ = std::make_unique<broker::Node>(world.shards(id_), config, std::move(events));
  gate_.start([this] { return start(); });
}

runtime::Task<void> ClusterNode::start() {
  const auto started = co_await node_->start();
  started_ = started.has_value();
  if (!started) refuse("does not start", started.error());
}

void ClusterNode::stop() {
  if (!started_ || stopping_) return;
  stopping_ = true;
  gate_.start([this] { return stop_now(); });
}

runtime::Task<void> ClusterNode::stop_now() {
  co_await node_->stop(true);
  stopped_ = true;
}

void ClusterNode::refuse(std::string_view where, const Error& why) {
  history_.fresh.refused.push_back({id_, fmt::format("{}: {}", where, why.message())});
}

}  // namespace qlab::sim
