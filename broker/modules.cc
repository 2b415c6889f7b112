#include "broker/modules.h"

#include <algorithm>
#include <array>

#include "common/check.h"
#include "controller/quorum/active_controller.h"
#include "controller/quorum/metadata_machine.h"
#include "controller/quorum/routed_controller.h"
#include "raft/kraft/kraft.h"
#include "raft/raft.h"
#include "zab/zab.h"

namespace qlab::broker {
namespace {

constexpr std::array planes{Plane{"raft", "quorum", "raft"}, Plane{"kraft", "quorum", "kraft"}};

consensus::ModuleFactory consensus_module(std::string_view name) {
  if (name == "kraft") return raft::kraft::make_kraft;
  if (name == "zab") return zab::make_zab;
  CHECK(name == "raft");  // The config admits no other word.
  return raft::make_raft;
}

// The event-sourced controller over a consensus group of the voters; others observe.
class QuorumPlane final : public ControlPlane {
 public:
  explicit QuorumPlane(ControlPlaneContext context)
      : context_(std::move(context)),
        active_(context_.runtime, context_.publisher, context_.config.controller),
        machine_(context_.publisher, context_.config.is_controller ? &active_ : nullptr,
                 context_.on_fatal),
        routed_(context_.runtime, context_.config.node, machine_,
                context_.config.is_controller ? &active_ : nullptr) {}

  Task<Result<void>> open() {
    const NodeConfig& config = context_.config;
    consensus::DriverOptions options;
    options.self = {config.node, context_.directory};
    for (const auto& [voter, endpoint] : config.voters) {
      options.config.members.push_back({voter, consensus::MemberRole::voter});
    }
    if (!config.is_controller) {
      options.config.members.push_back({config.node, consensus::MemberRole::observer});
      std::sort(options.config.members.begin(), options.config.members.end());
    }
    options.tuning = config.consensus;
    options.directory = "metadata";
    options.linger = config.append_linger;
    options.snapshot_interval_bytes = config.snapshot_interval_bytes;
    CO_TRY(driver_, co_await consensus::Driver::open(context_.runtime, context_.engine, machine_,
                                                     consensus_module(config.consensus_module),
                                                     std::move(options)));
    active_.bind(*driver_);
    co_return Result<void>{};
  }

  void start() override { driver_->start(context_.on_fatal); }

  Task<void> stop() override {
    // The driver first: it tells the fate of what the others wait for.
    co_await driver_->stop();
    co_await routed_.stop();
    co_await active_.stop();
  }

  controller::Controller& controller() override { return routed_; }
  LogIndex applied() const override { return machine_.applied(); }
  consensus::Status consensus() const override { return driver_->status(); }
  std::optional<Epoch> active_epoch() const override { return active_.epoch(); }

  void on_message(NodeId from, runtime::LinkEpoch link, runtime::Channel channel,
                  Bytes payload) override {
    switch (channel) {
      case runtime::Channel::metadata_consensus:
        return driver_->receive(from, link, std::move(payload));
      case runtime::Channel::controller_call:
        return routed_.on_call(from, std::move(payload));
      case runtime::Channel::controller_reply:
        return routed_.on_reply(from, std::move(payload));
      case runtime::Channel::keeper:
        return;  // This node is no keeper: dropped.
    }
  }
  void on_link_up(NodeId peer, runtime::LinkEpoch link) override { driver_->link_up(peer, link); }
  void on_link_down(NodeId peer, runtime::LinkEpoch link) override {
    driver_->link_down(peer, link);
    routed_.on_link_down(peer);
  }

 private:
  ControlPlaneContext context_;
  controller::ActiveController active_;
  controller::MetadataMachine machine_;
  controller::RoutedController routed_;
  std::unique_ptr<consensus::Driver> driver_;
};

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
  return {"quorum"};
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
  auto plane = std::make_unique<QuorumPlane>(std::move(context));
  CO_TRY_VOID(co_await plane->open());
  co_return std::unique_ptr<ControlPlane>(std::move(plane));
}

}  // namespace qlab::broker
