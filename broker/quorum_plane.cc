#include <algorithm>

#include "broker/control_plane.h"
#include "controller/quorum/local_controller.h"
#include "controller/routed_controller.h"
#include "controller/serve_call.h"

namespace qlab::broker {
namespace {

// A caller has given up long before: no request of a client waits for longer.
constexpr Duration call_patience_max = std::chrono::minutes(10);

class QuorumPlane final : public ControlPlane {
 public:
  explicit QuorumPlane(ControlPlaneContext context)
      : context_(std::move(context)),
        active_(context_.runtime, context_.publisher, context_.config.controller),
        machine_(context_.publisher, context_.config.is_controller ? &active_ : nullptr,
                 context_.on_fatal),
        local_(context_.config.node, machine_, context_.config.is_controller ? &active_ : nullptr),
        router_(
            context_.runtime, context_.config.node,
            [this](std::int16_t api_key, Bytes body) { return serve(api_key, std::move(body)); }),
        routed_(context_.runtime, router_, local_) {
    machine_.on_change_of_leader([this] { routed_.leader_changed(); });
    // What is committed is one image for all.
    context_.publisher.subscribe([this](const auto& image, const auto& delta) {
      if (replicas_follow_) {
        context_.replicas.publish(image, delta);
      } else {
        let_replicas_follow(image);
      }
    });
  }

  Task<Result<void>> open(consensus::ModuleFactory module) {
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
    options.snapshots_grow = true;
    CO_TRY(driver_, co_await consensus::Driver::open(context_.runtime, context_.engine, machine_,
                                                     std::move(module), std::move(options)));
    active_.bind(*driver_);
    co_return Result<void>{};
  }

  void start() override { driver_->start(context_.on_fatal); }

  Task<void> stop() override {
    // The driver first: it tells the fate of what the others wait for.
    co_await driver_->stop();
    co_await router_.stop();
    co_await active_.stop();
  }

  void on_registered(BrokerEpoch epoch) override {
    if (!registered_) registered_ = epoch;
    if (!replicas_follow_) let_replicas_follow(context_.publisher.image());
  }

  controller::Controller& controller() override { return routed_; }
  Task<Result<TopicConfigs>> topic_configs(std::vector<std::string> topics, Time) override {
    TopicConfigs configs;
    for (std::string& name : topics) {
      const metadata::TopicPtr topic = context_.publisher.image()->topic(name);
      configs[std::move(name)] = topic == nullptr ? metadata::Configs{} : topic->configs;
    }
    co_return configs;
  }
  LogIndex applied() const override { return machine_.applied(); }
  consensus::Status consensus() const override { return driver_->status(); }
  std::optional<Epoch> active_epoch() const override { return active_.epoch(); }

  void on_message(NodeId from, runtime::LinkEpoch link, runtime::Channel channel,
                  Bytes payload) override {
    switch (channel) {
      case runtime::Channel::metadata_consensus:
        return driver_->receive(from, link, std::move(payload));
      case runtime::Channel::controller_call:
        return router_.on_call(from, std::move(payload));
      case runtime::Channel::controller_reply:
        return router_.on_reply(from, std::move(payload));
      case runtime::Channel::keeper:
      case runtime::Channel::partition_groups:
        return;  // Not for who decides: dropped.
    }
  }
  void on_link_up(NodeId peer, runtime::LinkEpoch link) override { driver_->link_up(peer, link); }
  void on_link_down(NodeId peer, runtime::LinkEpoch link) override {
    driver_->link_down(peer, link);
    router_.on_link_down(peer);
  }

 private:
  Task<Result<Bytes>> serve(std::int16_t api_key, Bytes body) {
    co_return co_await controller::serve_call(local_, api_key, std::move(body),
                                              context_.runtime.now() + call_patience_max);
  }

  // An image from before this life may name replicas here that this broker has given up since, with
  // their logs. One that shows this life's registration has all that it ever acted on.
  void let_replicas_follow(const metadata::ImagePtr& image) {
    const metadata::Broker* self = image->broker(context_.config.node);
    if (!registered_ || self == nullptr || self->epoch < *registered_) return;
    replicas_follow_ = true;
    context_.drop_strays(image);
    auto everything = std::make_shared<metadata::Delta>();
    everything->add_all(*image);
    context_.replicas.publish(image, std::move(everything));
  }

  ControlPlaneContext context_;
  controller::ActiveController active_;
  controller::MetadataMachine machine_;
  controller::LocalController local_;
  controller::CallRouter router_;
  controller::RoutedController routed_;
  std::unique_ptr<consensus::Driver> driver_;
  std::optional<BrokerEpoch> registered_;  // First in this life.
  bool replicas_follow_ = false;           // They are told of each image.
};

}  // namespace

Task<Result<std::unique_ptr<ControlPlane>>> open_quorum_plane(ControlPlaneContext context,
                                                              consensus::ModuleFactory module) {
  auto plane = std::make_unique<QuorumPlane>(std::move(context));
  CO_TRY_VOID(co_await plane->open(std::move(module)));
  co_return std::unique_ptr<ControlPlane>(std::move(plane));
}

}  // namespace qlab::broker
