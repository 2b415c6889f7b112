#include "broker/partitions.h"

#include <type_traits>

#include <boost/asio/post.hpp>

#include "broker/modules.h"
#include "common/logging.h"

namespace qlab::broker {

struct Partitions::Shard {
  std::size_t index;
  runtime::Runtime& runtime;
  PartitionStore store;
  std::unique_ptr<storage::Engine> group_engine;  // Of the groups' log; null without groups.
  replication::Replicas replicas;

  // Requires: the layout is started.
  Shard(std::size_t number, runtime::Runtime& world, PartitionStore logs,
        replication::ReplicasContext context)
      : index(number),
        runtime(world),
        store(std::move(logs)),
        replicas(runtime, *store.layout, std::move(context)) {}

  bool is_home() const { return index == 0; }
  // Runs it on this shard, at once when that is where we are.
  template <class Action>
  void perform(Action action) {
    if (is_home()) return action();
    boost::asio::post(runtime.executor(), std::move(action));
  }
};

namespace {

Task<Result<replication::IsrAnswer>> propose_at_home(runtime::Runtime& home,
                                                     replication::ProposeIsr propose,
                                                     replication::IsrProposal proposal) {
  const auto make_task = [&propose, &proposal] { return propose(proposal); };
  co_return co_await runtime::run_on(home, make_task);
}

template <class Collect>
Task<std::invoke_result_t<Collect>> collected(Collect collect) {
  co_return collect();
}

Partitions::View view_of(const replication::Replicas::Entry& entry) {
  storage::Log& log = entry.replica->log();
  return {entry.partition, entry.replica->state(), log.start(),
          log.end(),       log.durable_end(),      entry.replica->high_watermark()};
}

}  // namespace

Partitions::Partitions(runtime::Shards& shards, const NodeConfig& config,
                       replication::ProposeIsr propose_isr, std::function<void(Error)> on_fatal)
    : world_(shards),
      config_(config),
      propose_isr_(std::move(propose_isr)),
      on_fatal_(std::move(on_fatal)),
      shards_(shards.count()),
      dropped_(shards.shard(0)),
      gate_(shards.shard(0)) {}

Partitions::~Partitions() = default;

replication::ReplicasContext Partitions::context_of(std::size_t shard) const {
  replication::ReplicasContext context;
  context.self = config_.node;
  context.options = config_.replication;
  context.shard = shard;
  context.shard_count = shards_.size();
  context.propose_isr = propose_isr_;
  context.on_fatal = on_fatal_;
  context.groups = groups_of(shard);
  context.broker_epoch = [this] { return BrokerEpoch{broker_epoch_.load()}; };
  if (shard == 0) return context;
  runtime::Runtime& home = world_.shard(0);
  context.propose_isr = [&home, propose = propose_isr_](replication::IsrProposal proposal) {
    return propose_at_home(home, propose, std::move(proposal));
  };
  context.on_fatal = [&home, on_fatal = on_fatal_](Error error) {
    boost::asio::post(home.executor(), [on_fatal, error] { on_fatal(error); });
  };
  return context;
}

// The transport is the home shard's.
std::optional<replication::GroupsContext> Partitions::groups_of(std::size_t shard) const {
  auto groups = make_groups(config_);
  if (!groups) return std::nullopt;
  runtime::Runtime& home = world_.shard(0);
  const auto send = [&home](NodeId to, Bytes message) {
    // A FIFO stream loses a suffix or nothing.
    const bool is_sent =
        home.transport().send(to, runtime::Channel::partition_groups, std::move(message));
    if (!is_sent) home.transport().close_link(to);
  };
  const auto close_link = [&home](NodeId peer) { home.transport().close_link(peer); };
  groups->send = send;
  groups->close_link = close_link;
  if (shard == 0) return groups;
  groups->send = [&home, send](NodeId to, Bytes message) {
    boost::asio::post(home.executor(), [send, to, bytes = std::move(message)]() mutable {
      send(to, std::move(bytes));
    });
  };
  groups->close_link = [&home, close_link](NodeId peer) {
    boost::asio::post(home.executor(), [close_link, peer] { close_link(peer); });
  };
  return groups;
}

Task<Result<void>> Partitions::open_shard(std::size_t index) {
  runtime::Runtime& runtime = world_.shard(index);
  CO_TRY(PartitionStore store, make_partition_store(config_, runtime, index));
  const Result<void> prepared = co_await store.engine->start();
  if (!prepared) {
    log(LogLevel::warn, "partitions", "shard {} starts without prepared files: {}", index,
        prepared.error().message());
  }
  CO_TRY_VOID(co_await store.layout->start());
  shards_[index] = std::make_unique<Shard>(index, runtime, std::move(store), context_of(index));
  if (!config_.replicator.has_groups()) co_return Result<void>{};
  Shard& shard = *shards_[index];
  CO_TRY(shard.group_engine, make_metadata_engine(config_, runtime));
  co_return co_await shard.replicas.open_groups(*shard.group_engine);
}

Task<Result<void>> Partitions::open() {
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    CO_TRY_VOID(co_await runtime::run_on(world_.shard(i), [this, i] { return open_shard(i); }));
  }
  co_return Result<void>{};
}

// Every shard takes what is for its groups.
void Partitions::on_group_message(NodeId from, runtime::LinkEpoch link, Bytes message) {
  const auto shared = std::make_shared<const Bytes>(std::move(message));
  for (const auto& shard : shards_) {
    if (shard == nullptr) continue;
    shard->perform([s = shard.get(), from, link, shared] {
      s->replicas.on_group_message(from, link, *shared);
    });
  }
}

void Partitions::on_link_up(NodeId peer, runtime::LinkEpoch link) {
  for (const auto& shard : shards_) {
    if (shard == nullptr) continue;
    shard->perform([s = shard.get(), peer, link] { s->replicas.on_link_up(peer, link); });
  }
}

void Partitions::on_link_down(NodeId peer, runtime::LinkEpoch link) {
  for (const auto& shard : shards_) {
    if (shard == nullptr) continue;
    shard->perform([s = shard.get(), peer, link] { s->replicas.on_link_down(peer, link); });
  }
}

replication::LogOwner Partitions::owner_of(const Shard& shard) const {
  return {config_.node, shard.index, shards_.size()};
}

void Partitions::drop_strays(metadata::ImagePtr image) {
  if (closing_ || std::exchange(dropping_, true)) return;
  gate_.start([this, image] { return drop_all_strays(image); });
}

Task<void> Partitions::drop_all_strays(metadata::ImagePtr image) {
  for (const auto& shard : shards_) {
    if (closing_) break;
    const auto drop = [this, s = shard.get(), &image] {
      return replication::drop_strays(*s->store.layout, image, owner_of(*s));
    };
    co_await runtime::run_on(shard->runtime, drop);
  }
  dropping_ = false;
  for (const News& news : std::exchange(held_, {})) {
    if (!closing_) on_metadata(news.image, news.delta);
  }
  dropped_.notify_all();
}

Task<Result<std::vector<std::string>>> Partitions::find_strays(metadata::ImagePtr image) const {
  std::vector<std::string> all;
  for (const auto& shard : shards_) {
    const auto look = [this, s = shard.get(), &image] {
      return replication::find_strays(*s->store.layout, image, owner_of(*s));
    };
    CO_TRY(const auto strays, co_await runtime::run_on(shard->runtime, look));
    for (const storage::LogName& name : strays) all.push_back(name.partition);
  }
  co_return std::move(all);
}

void Partitions::on_metadata(const metadata::ImagePtr& image, const metadata::DeltaPtr& delta) {
  if (dropping_) {
    held_.push_back({image, delta});
    return;
  }
  for (const auto& shard : shards_) {
    shard->perform([s = shard.get(), image, delta] { s->replicas.on_metadata(image, delta); });
  }
}

Task<void> Partitions::settled() const {
  while (dropping_) co_await dropped_.wait();
  for (const auto& shard : shards_) {
    co_await runtime::run_on(shard->runtime, [s = shard.get()] { return s->replicas.settled(); });
  }
}

Partitions::Shard& Partitions::shard_of(const PartitionKey& key) {
  return *shards_[shard_index(key)];
}

Partitions::ReplicaPtr Partitions::find(Shard& shard, const PartitionKey& key) {
  return shard.replicas.find(key.topic_id, key.partition);
}

runtime::Runtime& Partitions::runtime_of(Shard& shard) {
  return shard.runtime;
}

bool Partitions::is_home(const Shard& shard) {
  return shard.is_home();
}

Task<std::vector<Partitions::View>> Partitions::views() const {
  std::vector<View> all;
  for (const auto& shard : shards_) {
    if (shard == nullptr) continue;
    std::vector<View> some = co_await runtime::run_on(shard->runtime, [s = shard.get()] {
      return collected([s] {
        std::vector<View> found;
        for (const auto& entry : s->replicas.all()) found.push_back(view_of(entry));
        return found;
      });
    });
    all.insert(all.end(), std::make_move_iterator(some.begin()),
               std::make_move_iterator(some.end()));
  }
  std::sort(all.begin(), all.end(),
            [](const View& a, const View& b) { return a.partition < b.partition; });
  co_return all;
}

std::vector<replication::Replicas::Entry> Partitions::at_home() const {
  if (shards_.front() == nullptr) return {};
  return shards_.front()->replicas.all();
}

Task<std::size_t> Partitions::count() {
  std::size_t all = 0;
  for (const auto& shard : shards_) {
    if (shard == nullptr) continue;  // Of a node that is no broker.
    const auto size = [s = shard.get()] { return s->replicas.size(); };
    const auto make_task = [&size] { return collected(size); };
    all += co_await runtime::run_on(shard->runtime, make_task);
  }
  co_return all;
}

Task<bool> Partitions::close_shard(Shard& shard) {
  const bool is_closed = co_await shard.replicas.stop();
  const Result<void> stopped = co_await shard.store.layout->stop();
  co_await shard.store.engine->stop();
  if (!stopped) {
    log(LogLevel::warn, "partitions", "stopping the layout of shard {}: {}, ignoring", shard.index,
        stopped.error().message());
  }
  co_return is_closed&& stopped&& shard.store.engine->is_persistent();
}

Task<bool> Partitions::close() {
  closing_ = true;
  co_await gate_.close();
  bool is_durable = true;
  for (const auto& shard : shards_) {
    bool is_closed = false;
    if (shard != nullptr) {
      is_closed =
          co_await runtime::run_on(shard->runtime, [s = shard.get()] { return close_shard(*s); });
    }
    is_durable = is_durable && is_closed;
  }
  co_return is_durable;
}

Task<void> Partitions::destroy_shard(std::unique_ptr<Shard>& shard) {
  shard.reset();
  co_return;
}

Task<void> Partitions::destroy() {
  for (auto& shard : shards_) {
    if (shard == nullptr) continue;
    runtime::Runtime& runtime = shard->runtime;
    co_await runtime::run_on(runtime, [&shard] { return destroy_shard(shard); });
  }
}

}  // namespace qlab::broker
