#pragma once
// The only place that maps the words of a config to plugs: storage engines, consensus modules,
// controllers.

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "broker/control_plane.h"
#include "replication/replicas.h"
#include "storage/layout.h"

namespace qlab::broker {

std::vector<std::string_view> storage_engines();
std::vector<std::string_view> log_layouts();
std::vector<std::string_view> consensus_modules();
std::vector<std::string_view> controller_designs();
std::vector<std::string_view> replicators();
std::vector<std::string_view> group_modules();  // That a replicator of groups can be made of.

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
// Nothing: partitions are copied by fetching. Of what it returns, the ways to others are empty.
std::optional<replication::GroupsContext> make_groups(const NodeConfig& config);

// The engine of the metadata log: the same, or `buffered` where that one keeps nothing.
Result<std::unique_ptr<storage::Engine>> make_metadata_engine(const NodeConfig& config,
                                                              runtime::Runtime& runtime);

// Opens the plane that the config asks for. Errors: as of consensus::Driver::open.
Task<Result<std::unique_ptr<ControlPlane>>> open_control_plane(ControlPlaneContext context);

}  // namespace qlab::broker
