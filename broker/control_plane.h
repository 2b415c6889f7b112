#pragma once
// A node's part in deciding, whichever design that is.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "broker/config.h"
#include "consensus/driver.h"
#include "controller/controller.h"
#include "metadata/publisher.h"
#include "runtime/transport.h"
#include "storage/engine.h"

namespace qlab::broker {

using runtime::Task;

// A node's part in deciding: it follows the metadata log, votes where it is a voter, decides while
// it leads, and routes the node's own calls to whoever decides.
//
// As a TransportHandler it takes the messages between nodes.
// Thread: the home shard.
class ControlPlane : public runtime::TransportHandler {
 public:
  // Begins to take part. Requires: called once. `on_fatal`: it cannot go on; called at most once.
  virtual void start() = 0;
  // Ends all calls and what else waits. Requires: started.
  virtual Task<void> stop() = 0;

  // The controller has taken this broker, in this life, under that epoch.
  virtual void on_registered(BrokerEpoch epoch) = 0;

  virtual controller::Controller& controller() = 0;
  // What each of these topics has set itself, by its name. Errors: timed_out; closed; corrupt.
  using TopicConfigs = std::map<std::string, metadata::Configs>;
  virtual Task<Result<TopicConfigs>> topic_configs(std::vector<std::string> topics,
                                                   Time deadline) = 0;
  virtual LogIndex applied() const = 0;  // Last metadata entry that this node has applied.
  virtual consensus::Status consensus() const = 0;
  // Of this node as the one that decides; nothing while it does not.
  virtual std::optional<Epoch> active_epoch() const = 0;
  bool is_active() const { return active_epoch().has_value(); }
};

struct ControlPlaneContext {
  const NodeConfig& config;
  DirectoryId directory;
  runtime::Runtime& runtime;       // The home shard's, and
  storage::Engine& engine;         // its engine for the metadata log.
  metadata::Publisher& publisher;  // Gets each image that clients may be told of, and
  metadata::Publisher& replicas;   // each that says what replicas here are to do.
  // Has the logs removed that a committed image of this life does not give this broker, before any
  // replica is opened.
  std::function<void(metadata::ImagePtr)> drop_strays;
  std::function<Task<void>()> replicas_settled;  // Returns when they do what they were told so far.
  std::function<void(Error)> on_fatal;
};

// The event-sourced controller over a consensus group of the voters; others observe.
Task<Result<std::unique_ptr<ControlPlane>>> open_quorum_plane(ControlPlaneContext context,
                                                              consensus::ModuleFactory module);

// ZooKeeper's design: every broker is a client of the keeper, which lives on the controllers, over
// a consensus group of theirs; one of those decides. Errors also: exists, for a port in use, naming
// keeper.listener.
Task<Result<std::unique_ptr<ControlPlane>>> open_zk_plane(ControlPlaneContext context,
                                                          consensus::ModuleFactory module);

}  // namespace qlab::broker
