#include "broker/node.h"

#include <utility>

#include "broker/clean_shutdown.h"
#include "broker/control.h"
#include "broker/data_directory.h"
#include "common/check.h"
#include "common/logging.h"
#include "runtime/trace.h"

namespace qlab::broker {
namespace {

using wire::KafkaError;

constexpr Duration controlled_shutdown_max = std::chrono::seconds(5);
constexpr Duration isr_patience = std::chrono::seconds(2);
// Longer than any start takes; the wait ends when the node stops.
constexpr Duration announce_patience = std::chrono::hours(24);

Error name_key(std::string_view key, const runtime::Endpoint& endpoint, const Error& error) {
  return {error.code, fmt::format("{}={}: {}; allowed: an address of this host with a free port",
                                  key, endpoint.to_string(), error.context)};
}

}  // namespace

Node::Node(runtime::Shards& shards, NodeConfig config, NodeEvents events)
    : shards_(shards),
      home_(shards.shard(0)),
      config_(std::move(config)),
      events_(std::move(events)),
      cluster_(home_, publisher_),
      isr_proposals_(home_,
                     [this](std::vector<replication::IsrProposal> proposals) {
                       return alter_isrs(std::move(proposals));
                     }),
      partitions_(
          shards_, config_,
          [this](replication::IsrProposal proposal) {
            return isr_proposals_.propose(std::move(proposal));
          },
          [this](Error error) { give_up(std::move(error)); }),
      gate_(home_) {
  CHECK(shards.count() == config_.shards);
}

Node::~Node() = default;

Task<Result<void>> Node::start() {
  CO_TRY_VOID(co_await open());
  plane_->start();
  CO_TRY_VOID(co_await join_peers());
  if (lifecycle_ != nullptr) {
    lifecycle_->start();
  } else {
    become_ready();
  }
  co_return Result<void>{};
}

Task<Result<void>> Node::open() {
  DataOwner owner{config_.node,
                  config_.cluster_id,
                  {{"controller.design", config_.design},
                   {"consensus.module", config_.consensus_module},
                   {"replicator", config_.replicator.name}}};
  if (config_.replicator.has_groups()) {
    owner.fixed.insert_or_assign("replicator.module", config_.replicator.module);
  }
  CO_TRY(const DirectoryId directory,
         open_data_directory(home_.disk(), owner, config_.log_dir, home_.random()));
  CO_TRY(const BrokerEpoch previous, take_clean_shutdown(home_.disk()));
  if (config_.is_broker) {
    auto listener = co_await home_.network().listen(config_.listener);
    if (!listener) co_return fail(name_key("listener", config_.listener, listener.error()));
    listener_ = std::move(*listener);
    kafka_endpoint_ = listener_->local();
    CO_TRY_VOID(co_await partitions_.open());
    publisher_.subscribe([this](const metadata::ImagePtr& image, const metadata::DeltaPtr& delta) {
      tell_of(*image, *delta);
    });
    replica_publisher_.subscribe(
        [this](const metadata::ImagePtr& image, const metadata::DeltaPtr& delta) {
          partitions_.on_metadata(image, delta);
        });
  }
  CO_TRY(metadata_engine_, make_metadata_engine(config_, home_));
  ControlPlaneContext context{
      config_,
      directory,
      home_,
      *metadata_engine_,
      publisher_,
      replica_publisher_,
      [this](metadata::ImagePtr image) { partitions_.drop_strays(std::move(image)); },
      [this] { return partitions_.settled(); },
      [this](Error e) { give_up(e); }};
  CO_TRY(plane_, co_await open_control_plane(std::move(context)));
  if (config_.is_broker) start_broker(directory, previous);
  co_return Result<void>{};
}

void Node::start_broker(DirectoryId directory, BrokerEpoch previous) {
  LifecycleContext context;
  context.registration.broker = config_.node;
  context.registration.directory = directory;
  const std::uint64_t high = home_.random().next();
  context.registration.incarnation = Uuid::from_random(high, home_.random().next());
  context.registration.endpoint = *kafka_endpoint_;
  context.registration.rack = config_.server.rack;
  context.registration.previous_epoch = previous;
  context.heartbeat_interval = config_.server.heartbeat_interval;
  context.applied = [this] { return plane_->applied(); };
  context.on_unfenced = [this] {
    if (!std::exchange(is_announcing_, true)) gate_.start([this] { return announce(); });
  };
  context.on_registered = [this](BrokerEpoch epoch) {
    partitions_.set_broker_epoch(epoch);
    plane_->on_registered(epoch);
  };
  controller::Controller& controller = plane_->controller();
  lifecycle_ = std::make_unique<Lifecycle>(home_, controller, std::move(context));
  producer_ids_ = std::make_unique<ProducerIds>(controller, *lifecycle_, config_.node);
  std::vector<runtime::Runtime*> shards;
  for (std::size_t i = 0; i < shards_.count(); ++i) shards.push_back(&shards_.shard(i));
  replication::SessionLimits sessions;
  sessions.slots_max = config_.server.fetch_sessions_max;
  fetch_sessions_ = std::make_unique<replication::FetchSessions>(std::move(shards), sessions);
  services_ = std::make_unique<Services>(Services{home_, config_, cluster_, controller, *plane_,
                                                  partitions_, *producer_ids_, *lifecycle_,
                                                  *fetch_sessions_});
  dispatch_ = std::make_unique<Dispatch>(*services_);
  server_ = std::make_unique<ConnectionServer>(
      home_, *dispatch_,
      ConnectionLimits{config_.server.request_bytes_max, config_.server.connections_max,
                       config_.server.connection_idle_max});
}

Task<Result<void>> Node::join_peers() {
  runtime::TransportIdentity identity;
  identity.node = config_.node;
  identity.cluster_id = config_.cluster_id;
  identity.listen = config_.peer_listener;
  identity.peers = config_.voters;
  identity.peers.insert(config_.replicator.peers.begin(), config_.replicator.peers.end());
  identity.peers.erase(config_.node);
  peer_routes_ = std::make_unique<PeerRoutes>(*plane_, partitions_);
  const auto started = co_await home_.transport().start(
      std::move(identity), *peer_routes_, [this](std::string method, std::string request) {
        return answer_call(std::move(method), std::move(request));
      });
  if (!started) co_return fail(name_key("peer.listener", config_.peer_listener, started.error()));
  transport_started_ = true;
  co_return Result<void>{};
}

bool Node::is_let_in() const {
  const metadata::ImagePtr image = cluster_.image();
  const metadata::Broker* self = image->broker(config_.node);
  return self != nullptr && lifecycle_->epoch() == self->epoch && self->is_active();
}

// Serves once the cluster, as seen from here, has this broker in it and its partitions are open.
// Neither may hold any more when the other has come: a broker that was paused in between is fenced.
Task<void> Node::announce() {
  const ClusterView::Holds let_in = [this](const metadata::Image&) { return is_let_in(); };
  while (!ready_ && !stopping_) {
    co_await cluster_.wait_for(let_in, home_.now() + announce_patience);
    co_await partitions_.settled();
    if (!ready_ && !stopping_ && is_let_in()) become_ready();
  }
}

void Node::become_ready() {
  ready_ = true;
  if (server_ != nullptr) server_->start(std::move(listener_));
  events_.on_ready();
}

void Node::tell_of(const metadata::Image& image, const metadata::Delta& delta) const {
  if (!home_.trace().enabled()) return;
  std::size_t partitions = 0;
  for (const auto& [topic, changed] : delta.partitions) partitions += changed.size();
  home_.trace().emit(
      "metadata_published",
      {{"offset", image.offset().value()},
       {"topics", static_cast<std::int64_t>(delta.topics.size())},
       {"whole_topics", static_cast<std::int64_t>(delta.topics.size() - delta.partitions.size())},
       {"partitions", static_cast<std::int64_t>(partitions)},
       {"brokers", static_cast<std::int64_t>(delta.brokers.size())}});
}

Task<Result<std::string>> Node::answer_call(std::string method, std::string request) {
  if (method != "Status") co_return fail(Errc::unsupported, "there is no call {}", method);
  CO_TRY(const bool with_partitions, wants_partitions(request));
  std::vector<Partitions::View> partitions;
  if (with_partitions) partitions = co_await partitions_.views();
  const std::size_t count = co_await partitions_.count();
  const bool is_ready = ready_ && !stopping_ && (!config_.is_broker || is_let_in());
  const metadata::ImagePtr image = cluster_.image();
  co_return encode_status({config_, *plane_, *image, is_ready, count}, partitions);
}

Task<Result<IsrProposals::Outcomes>> Node::alter_isrs(
    std::vector<replication::IsrProposal> proposals) {
  if (lifecycle_ == nullptr || !lifecycle_->epoch()) {
    co_return fail(Errc::overloaded, "this broker is not registered yet");
  }
  controller::AlterPartition request;
  request.broker = config_.node;
  request.epoch = *lifecycle_->epoch();
  for (replication::IsrProposal& proposal : proposals) {
    controller::PartitionAlteration wanted{
        proposal.topic_id,         proposal.partition,      proposal.leader_epoch,
        proposal.partition_epoch,  std::move(proposal.isr), std::move(proposal.isr_epochs),
        proposal.claims_leadership};
    CHECK(wanted.isr_epochs.size() == wanted.new_isr.size());
    for (std::size_t m = 0; m < wanted.new_isr.size(); ++m) {
      if (wanted.new_isr[m] == config_.node) wanted.isr_epochs[m] = request.epoch;
    }
    request.partitions.push_back(std::move(wanted));
  }
  co_return co_await plane_->controller().alter_partition(std::move(request),
                                                          home_.now() + isr_patience);
}

void Node::give_up(Error error) {
  if (std::exchange(fatal_, true)) return;
  log(LogLevel::error, "node", "log.dir={}: {}; this node cannot go on", config_.log_dir,
      error.message());
  events_.on_fatal(std::move(error));
}

void Node::leave_in_order() {
  if (lifecycle_ == nullptr || !lifecycle_->epoch()) return;
  const auto left = leave_clean_shutdown(home_.disk(), *lifecycle_->epoch());
  if (left) return;
  log(LogLevel::warn, "node", "{}; the next start counts as after a crash", left.error().message());
}

Task<void> Node::stop(bool controlled) {
  CHECK(!stopping_);
  if (controlled && lifecycle_ != nullptr) co_await lifecycle_->shut_down(controlled_shutdown_max);
  stopping_ = true;
  if (server_ != nullptr) server_->close();
  if (listener_ != nullptr) listener_->close();
  // What handlers wait for ends: the cluster's metadata, the controller's answers, the replicas.
  cluster_.close();
  if (fetch_sessions_ != nullptr) fetch_sessions_->close();
  if (plane_ != nullptr) co_await plane_->stop();
  const bool is_durable = co_await partitions_.close();
  co_await isr_proposals_.stop();
  if (server_ != nullptr) co_await server_->stop();
  fetch_sessions_.reset();  // No request is at work any more.
  if (lifecycle_ != nullptr) co_await lifecycle_->stop();
  if (is_durable && !fatal_) leave_in_order();
  co_await gate_.close();
  if (transport_started_) co_await home_.transport().stop();
  co_await partitions_.destroy();
}

}  // namespace qlab::broker
