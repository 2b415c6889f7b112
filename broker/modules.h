#pragma once
// The only place that maps the words of a config to plugs: storage engines, consensus modules,
// controllers.

#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "broker/config.h"
#include "consensus/driver.h"
#include "controller/controller.h"
#include "metadata/publisher.h"
#include "runtime/transport.h"
#include "storage/layout.h"

namespace qlab::broker {

using runtime::Task;

std::vector<std::string_view> storage_engines();
std::vector<std::string_view> log_layouts();
std::vector<std::string_view> consensus_modules();
std::vector<std::string_view> controller_designs();

// A preset of who decides and of the protocol beneath.
struct Plane {
  std::string_view name;
  std::string_view design;
  std::string_view consensus_module;
};
std::vector<std::string_view> plane_names();
const Plane* find_plane(std::string_view name);  // Nullptr: there is none.

// How one shard keeps the logs of its partitions.
struct PartitionStore {
  std::unique_ptr<storage::Engine> engine;
  std::unique_ptr<storage::Layout> layout;  // On that engine.
};
// Errors: invalid, naming what there is.
Result<PartitionStore> make_partition_store(const NodeConfig& config, runtime::Runtime& runtime,
                                            std::size_t shard);
// The engine of the metadata log: the same, or `buffered` where that one keeps nothing.
Result<std::unique_ptr<storage::Engine>> make_metadata_engine(const NodeConfig& config,
                                                              runtime::Runtime& runtime);

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

  virtual controller::Controller& controller() = 0;
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
  metadata::Publisher& publisher;  // Gets each committed image.
  std::function<void(Error)> on_fatal;
};

// Opens the log and recovers. Errors: as of consensus::Driver::open.
Task<Result<std::unique_ptr<ControlPlane>>> open_control_plane(ControlPlaneContext context);

}  // namespace qlab::broker
