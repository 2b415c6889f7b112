#include "broker/modules.h"

#include <algorithm>
#include <array>

#include "common/check.h"
#include "raft/kraft/kraft.h"
#include "raft/raft.h"
#include "zab/zab.h"

namespace qlab::broker {
namespace {

constexpr std::array planes{Plane{"raft", "quorum", "raft"}, Plane{"kraft", "quorum", "kraft"},
                            Plane{"zk", "zk", "zab"}};

consensus::ModuleFactory consensus_module(std::string_view name) {
  if (name == "kraft") return raft::kraft::make_kraft;
  if (name == "zab") return zab::make_zab;
  CHECK(name == "raft");  // The config admits no other word.
  return raft::make_raft;
}

}  // namespace

std::vector<std::string_view> storage_engines() {
  return storage::engine_names();
}

std::vector<std::string_view> log_layouts() {
  return storage::layout_names();
}

std::vector<std::string_view> consensus_modules() {
  return {"raft", "kraft", "zab"};
}

std::vector<std::string_view> controller_designs() {
  return {"quorum", "zk"};
}

std::vector<std::string_view> replicators() {
  return {"isr", "consensus"};
}

std::vector<std::string_view> group_modules() {
  return {"raft", "kraft"};
}

std::optional<replication::GroupsContext> make_groups(const NodeConfig& config) {
  if (!config.replicator.has_groups()) return std::nullopt;
  return replication::GroupsContext{consensus_module(config.replicator.module),
                                    config.replicator.tuning,
                                    {},
                                    {},
                                    config.replicator.log_file_bytes};
}

std::vector<std::string_view> plane_names() {
  std::vector<std::string_view> names;
  for (const Plane& plane : planes) names.push_back(plane.name);
  return names;
}

const Plane* find_plane(std::string_view name) {
  const auto* at = std::find_if(planes.begin(), planes.end(),
                                [&](const Plane& plane) { return plane.name == name; });
  return at == planes.end() ? nullptr : at;
}

Result<PartitionStore> make_partition_store(const NodeConfig& config, runtime::Runtime& runtime,
                                            std::size_t shard) {
  storage::EngineOptions engine = config.engine_options;
  engine.spare_directory = fmt::format("{}/{}", engine.spare_directory, shard);
  storage::LayoutOptions layout = config.layout_options;
  layout.shard = shard;
  layout.shard_count = config.shards;
  PartitionStore store;
  TRY(store.engine, storage::make_engine(config.engine, runtime, std::move(engine)));
  TRY(store.layout, storage::make_layout(config.layout, runtime, *store.engine, layout));
  return store;
}

Result<std::unique_ptr<storage::Engine>> make_metadata_engine(const NodeConfig& config,
                                                              runtime::Runtime& runtime) {
  TRY(std::unique_ptr<storage::Engine> engine, storage::make_engine(config.engine, runtime));
  if (engine->is_persistent()) return engine;
  return storage::make_engine("buffered", runtime);
}

Task<Result<std::unique_ptr<ControlPlane>>> open_control_plane(ControlPlaneContext context) {
  auto module = consensus_module(context.config.consensus_module);
  if (context.config.design == "zk") {
    co_return co_await open_zk_plane(std::move(context), std::move(module));
  }
  CHECK(context.config.design == "quorum");  // The config admits no other word.
  co_return co_await open_quorum_plane(std::move(context), std::move(module));
}

}  // namespace qlab::broker
