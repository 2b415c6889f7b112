#include "broker/control_plane.h"
#include "controller/administer.h"
#include "controller/routed_controller.h"
#include "controller/serve_call.h"
#include "controller/zk/config_follower.h"
#include "controller/zk/control_requests.h"
#include "controller/zk/metadata_cache.h"
#include "controller/zk/zk_controller.h"
#include "keeper/server.h"

namespace qlab::broker {
namespace {

// A caller has given up long before: no request of a client waits for longer.
constexpr Duration call_patience_max = std::chrono::minutes(10);

// This node's server of the keeper, on its own consensus group.
class KeeperMember {
 public:
  explicit KeeperMember(const ControlPlaneContext& context) : context_(context) {}

  Task<Result<void>> open(consensus::ModuleFactory module) {
    const NodeConfig& config = context_.config;
    consensus::DriverOptions options;
    options.self = {config.node, context_.directory};
    for (const auto& [voter, endpoint] : config.voters) {
      options.config.members.push_back({voter, consensus::MemberRole::voter});
    }
    options.tuning = config.consensus;
    options.directory = "keeper";
    options.linger = config.append_linger;
    options.snapshot_interval_bytes = config.snapshot_interval_bytes;
    options.snapshots_grow = true;
    CO_TRY(driver_, co_await consensus::Driver::open(context_.runtime, context_.engine, machine_,
                                                     std::move(module), std::move(options)));
    auto listener = co_await context_.runtime.network().listen(*config.keeper.listener);
    if (!listener) {
      co_return fail(listener.error().code,
                     "keeper.listener={}: {}; allowed: an address of this host with a free port",
                     config.keeper.listener->to_string(), listener.error().context);
    }
    listener_ = std::move(*listener);
    keeper::Options served;
    served.id = config.node;
    served.tick = config.keeper.tick;
    server_ = std::make_unique<keeper::Server>(context_.runtime, *driver_, machine_, served);
    co_return Result<void>{};
  }

  void start() {
    server_->start(std::move(listener_), context_.on_fatal);
    driver_->start(context_.on_fatal);
  }
  Task<void> stop() {
    co_await driver_->stop();
    co_await server_->stop();
  }

  consensus::Driver& driver() { return *driver_; }
  const consensus::Driver& driver() const { return *driver_; }
  keeper::Server& server() { return *server_; }

 private:
  const ControlPlaneContext& context_;
  keeper::Machine machine_;
  std::unique_ptr<consensus::Driver> driver_;
  std::unique_ptr<keeper::Server> server_;
  std::unique_ptr<runtime::Listener> listener_;  // Until start().
};

// A node's calls: its standing is its own session's, all else is the active controller's.
class OwnSession final : public controller::RoutedController {
 public:
  OwnSession(runtime::Runtime& runtime, controller::CallRouter& router,
             controller::ZkController& own, controller::MetadataCache& cache)
      : RoutedController(runtime, router, own), own_(own), cache_(cache) {}

  Task<Result<BrokerEpoch>> register_broker(controller::Registration registration,
                                            Time deadline) override {
    CO_TRY(const BrokerEpoch epoch,
           co_await own_.register_broker(std::move(registration), deadline));
    cache_.registered(epoch);
    co_return epoch;
  }
  Task<Result<controller::HeartbeatReply>> heartbeat(controller::Heartbeat heartbeat,
                                                     Time deadline) override {
    co_return co_await own_.heartbeat(heartbeat, deadline);
  }

 private:
  controller::ZkController& own_;
  controller::MetadataCache& cache_;
};

class ZkPlane final : public ControlPlane {
 public:
  explicit ZkPlane(ControlPlaneContext context)
      : context_(std::move(context)),
        cache_(context_.config.node, context_.publisher, context_.replicas),
        router_(
            context_.runtime, context_.config.node,
            [this](std::int16_t api_key, Bytes body) { return serve(api_key, std::move(body)); }),
        zk_(context_.runtime, options_of(context_.config),
            [this](NodeId node, wire::ApiKey api, Bytes request, Time deadline) {
              return router_.call(node, static_cast<std::int16_t>(api), std::move(request),
                                  deadline);
            }),
        own_(context_.runtime, router_, zk_, cache_),
        configs_(context_.runtime, cache_),
        requests_(context_.runtime, cache_,
                  [this](auto topics) { return configs_.follow(std::move(topics)); }) {
    zk_.on_change_of_active([this] { own_.leader_changed(); });
    zk_.share_session(
        [this](std::shared_ptr<controller::Session> begun) {
          configs_.on_session(std::move(begun));
        },
        [this] { configs_.on_news(); });
  }

  Task<Result<void>> open(consensus::ModuleFactory module) {
    if (!context_.config.is_controller) co_return Result<void>{};
    keeper_ = std::make_unique<KeeperMember>(context_);
    co_return co_await keeper_->open(std::move(module));
  }

  void start() override {
    if (keeper_ != nullptr) keeper_->start();
    zk_.start();
    configs_.start();
  }

  // The session ends while the keeper still takes that, and what the controller sent before it.
  Task<void> stop() override {
    router_.end_calls();
    co_await zk_.stop();
    co_await configs_.stop();
    co_await router_.stop();
    if (keeper_ != nullptr) co_await keeper_->stop();
  }

  // Replicas do here what the controller says, to this life only.
  void on_registered(BrokerEpoch) override {}
  controller::Controller& controller() override { return own_; }
  // From their znodes, as in Kafka: this broker follows the configs of topics that it has alone.
  Task<Result<TopicConfigs>> topic_configs(std::vector<std::string> topics,
                                           Time deadline) override {
    co_return co_await configs_.read_topics(std::move(topics), deadline);
  }
  LogIndex applied() const override { return cache_.applied(); }
  consensus::Status consensus() const override {
    return keeper_ == nullptr ? consensus::Status{} : keeper_->driver().status();
  }
  std::optional<Epoch> active_epoch() const override {
    const std::optional<std::int32_t> epoch = zk_.epoch();
    if (!epoch) return std::nullopt;
    return Epoch{*epoch};
  }

  void on_message(NodeId from, runtime::LinkEpoch link, runtime::Channel channel,
                  Bytes payload) override {
    switch (channel) {
      case runtime::Channel::metadata_consensus:
        if (keeper_ != nullptr) keeper_->driver().receive(from, link, std::move(payload));
        return;
      case runtime::Channel::controller_call:
        return router_.on_call(from, std::move(payload));
      case runtime::Channel::controller_reply:
        return router_.on_reply(from, std::move(payload));
      case runtime::Channel::keeper:
        if (keeper_ != nullptr) keeper_->server().on_message(from, std::move(payload));
        return;
      case runtime::Channel::partition_groups:
        return;  // Not for who decides: dropped.
    }
  }
  void on_link_up(NodeId peer, runtime::LinkEpoch link) override {
    if (keeper_ != nullptr) keeper_->driver().link_up(peer, link);
  }
  void on_link_down(NodeId peer, runtime::LinkEpoch link) override {
    if (keeper_ != nullptr) {
      keeper_->driver().link_down(peer, link);
      keeper_->server().on_link_down(peer);
    }
    router_.on_link_down(peer);
  }

 private:
  static controller::ZkOptions options_of(const NodeConfig& config) {
    controller::ZkOptions options;
    options.self = config.node;
    options.keepers = config.keeper.connect;
    options.competes = config.is_controller;
    options.session_timeout = config.keeper.session_timeout;
    options.in_flight = config.keeper.in_flight;
    options.controller = config.controller;
    return options;
  }

  Task<Result<Bytes>> serve(std::int16_t api_key, Bytes body) {
    if (controller::MetadataCache::takes(api_key)) {
      CO_TRY(Bytes answer, co_await requests_.take(api_key, std::move(body)));
      // The controller is answered when the replicas do what it said, as Kafka's brokers do.
      co_await context_.replicas_settled();
      co_return answer;
    }
    const Time deadline = context_.runtime.now() + call_patience_max;
    if (wire::ApiKey{api_key} == wire::ApiKey::controlled_shutdown) {
      co_return co_await zk_.controlled_shutdown(std::move(body), deadline);
    }
    co_return co_await controller::serve_call(zk_, api_key, std::move(body), deadline);
  }

  ControlPlaneContext context_;
  controller::MetadataCache cache_;
  controller::CallRouter router_;
  controller::ZkController zk_;
  OwnSession own_;
  controller::ConfigFollower configs_;
  controller::ControlRequests requests_;
  std::unique_ptr<KeeperMember> keeper_;  // Of a controller.
};

}  // namespace

Task<Result<std::unique_ptr<ControlPlane>>> open_zk_plane(ControlPlaneContext context,
                                                          consensus::ModuleFactory module) {
  auto plane = std::make_unique<ZkPlane>(std::move(context));
  CO_TRY_VOID(co_await plane->open(std::move(module)));
  co_return std::unique_ptr<ControlPlane>(std::move(plane));
}

}  // namespace qlab::broker
