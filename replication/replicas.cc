#include "replication/replicas.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "common/check.h"
#include "common/logging.h"
#include "replication/consensus_replicator.h"
#include "replication/fetcher.h"
#include "replication/groups/group_host.h"
#include "replication/isr_replicator.h"
#include "replication/partition_table.h"
#include "replication/partition_view.h"
#include "replication/turns.h"
#include "runtime/trace.h"

namespace qlab::replication {
namespace {

using Replica = std::shared_ptr<HostedReplica>;
using ReplicaTable = PartitionTable<Replica>;

// Of those that are only looked at, in one go.
constexpr std::size_t looked_at_once = 256;
// With more changes that wait, new replicas are not opened at ease.
constexpr std::size_t changes_behind_max = 16;
// Of the groups' logs, one directory below it for each shard. No partition is named so: their names
// end with a number.
constexpr std::string_view groups_directory = "partition-groups";

}  // namespace

std::size_t shard_of(const TopicId& topic, PartitionIndex partition, std::size_t shard_count) {
  const std::uint64_t spread = topic.low + static_cast<std::uint64_t>(partition.value());
  return static_cast<std::size_t>(spread % shard_count);
}

class Replicas::Impl {
 public:
  Impl(runtime::Runtime& runtime, storage::Layout& layout, ReplicasContext context)
      : runtime_(runtime),
        layout_(layout),
        context_(std::move(context)),
        turns_(runtime),
        changed_(runtime),
        gate_(runtime),
        stopping_(runtime),
        cleaning_(runtime) {
    context_.may_join = [this](NodeId id, BrokerEpoch epoch) { return may_join(id, epoch); };
    gate_.start([this] { return follow_metadata(); });
    gate_.start([this] { return watch_lag(); });
    cleaning_.start([this] { return clean_all(); });
  }

  Task<Result<void>> open_groups(storage::Engine& engine) {
    const GroupsContext& groups = context_.groups.value();
    GroupHost::Options options{context_.self, groups.module, groups.tuning,
                               fmt::format("{}/{}", groups_directory, context_.shard),
                               GroupLogOptions{groups.log_file_bytes}};
    GroupHost::Ways ways{groups.send, groups.close_link, context_.on_fatal};
    groups_ = std::make_unique<GroupHost>(runtime_, engine, std::move(options), std::move(ways));
    co_return co_await groups_->open();
  }
  GroupHost* groups() const { return groups_.get(); }

  void hand_in(metadata::ImagePtr image, metadata::DeltaPtr delta) {
    waiting_.push_back({std::move(image), std::move(delta)});
    urgent_ += is_urgent(waiting_.back()) ? 1 : 0;
    changed_.notify_all();
  }

  Task<void> settled() {
    while (!stopped_ && (busy_ || !waiting_.empty())) co_await changed_.wait();
  }

  Replica find(TopicId topic, PartitionIndex partition) const {
    return table_.find(topic, partition);
  }

  std::vector<Entry> all() const {
    std::vector<Entry> entries;
    for (Replica& r : replicas()) entries.push_back({r->partition(), std::move(r)});
    std::ranges::sort(entries, {}, &Entry::partition);
    return entries;
  }
  std::size_t size() const { return table_.size(); }

  std::uint64_t fetch_looks() const {
    std::uint64_t looks = 0;
    for (const auto& [leader, fetcher] : fetchers_) looks += fetcher->looks();
    return looks;
  }

  Task<bool> stop() {
    stopped_ = true;
    changed_.notify_all();
    stopping_.notify_all();
    co_await gate_.close();
    for (auto& [leader, fetcher] : fetchers_) co_await fetcher->stop();
    std::vector<Replica> open = replicas();
    for (auto& [partition, replica] : opened_) {
      if (replica) open.push_back(*replica);
    }
    opened_.clear();
    bool is_durable = true;
    for (const Replica& replica : open) {
      const auto closed = co_await replica->close();
      is_durable = is_durable && closed && !replica->has_failed();
      if (!closed) {
        log(LogLevel::warn, "replicas", "closing {}: {}, ignoring", replica->partition().name(),
            closed.error().message());
      }
    }
    co_await cleaning_.close();
    if (groups_ != nullptr) co_await groups_->stop();
    co_return is_durable;
  }

 private:
  using Key = std::pair<TopicId, PartitionIndex>;
  struct Wanted {
    metadata::TopicPtr topic;
    PartitionIndex index;
  };
  struct Change {
    metadata::ImagePtr image;
    metadata::DeltaPtr delta;
  };
  // It changes more than what is new.
  static bool is_urgent(const Change& change) {
    return !change.delta->partitions.empty() || !change.delta->brokers.empty();
  }
  // Of the change that is acted on.
  struct Told {
    std::int64_t replicas = 0;  // That took a state.
    std::int64_t leaders = 0;   // That began to lead.
    std::int64_t dropped = 0;
  };
  static constexpr std::int64_t leaders_told_max = 16;

  Task<void> follow_metadata() {
    while (!stopped_) {
      if (waiting_.empty()) {
        co_await changed_.wait();
        continue;
      }
      const Change change = std::move(waiting_.front());
      waiting_.pop_front();
      urgent_ -= is_urgent(change) ? 1 : 0;
      busy_ = true;
      told_ = {};
      const Time began = runtime_.trace().now();
      co_await act_on(change);
      busy_ = false;
      tell_of(change, began);
      changed_.notify_all();
    }
  }

  void tell_of(const Change& change, Time began) const {
    if (!runtime_.trace().enabled()) return;
    runtime_.trace().emit("metadata_applied", {{"offset", change.image->offset().value()},
                                               {"shard", static_cast<std::int64_t>(context_.shard)},
                                               {"replicas", told_.replicas},
                                               {"leaders", told_.leaders},
                                               {"dropped", told_.dropped},
                                               {"began_ns", began.time_since_epoch().count()}});
  }

  // The first few leaders of a change are told one by one.
  void tell_of_leader(const HostedReplica& replica) {
    if (++told_.leaders > leaders_told_max || !runtime_.trace().enabled()) return;
    const TopicPartition& name = replica.partition();
    runtime_.trace().emit("partition_leader_started",
                          {{"topic", std::string_view(name.topic)},
                           {"partition", name.partition.value()},
                           {"leader_epoch", replica.state().leader_epoch.value()}});
  }

  // Removals first: a topic may have been deleted and made anew under the same name.
  Task<void> act_on(Change change) {
    if (groups_ != nullptr && image_ == nullptr) {
      groups_->sweep([&change](const GroupId& group) {
        return change.image->partition(group.topic, group.partition) != nullptr;
      });
    }
    image_ = change.image;
    for (const TopicId& id : change.delta->topics) {
      if (change.image->topic(id) == nullptr) co_await drop(id);
    }
    co_await open_ahead(change);
    for (const TopicId& id : change.delta->topics) {
      const metadata::TopicPtr topic = change.image->topic(id);
      if (topic == nullptr) continue;
      co_await follow(change.image, topic, changed_partitions(*change.delta, *topic));
      if (stopped_) co_return;
    }
    if (change.delta->broker_configs) co_await follow_all(change.image);
    direct_fetchers(*change.image);
    const auto has_come = [&change](NodeId id) {
      const metadata::Broker* broker = change.image->broker(id);
      return broker != nullptr && broker->is_active();
    };
    if (std::ranges::any_of(change.delta->brokers, has_come)) co_await reconsider_all();
  }

  // Brokers have come: they may come into ISRs.
  Task<void> reconsider_all() {
    ReplicaTable::Walk walk(table_);
    for (auto some = walk.next(Turns::replicas_at_once); !some.empty() && !stopped_;) {
      for (const Replica& replica : some) replica->reconsider();
      co_await runtime::yield(runtime_);
      some = walk.next(Turns::replicas_at_once);
    }
  }

  // A zk controller tells nobody the epochs of others.
  bool may_join(NodeId broker, BrokerEpoch epoch) const {
    constexpr BrokerEpoch unknown{-1};
    const metadata::Broker* known = image_ == nullptr ? nullptr : image_->broker(broker);
    if (known == nullptr || !known->is_active()) return false;
    return epoch == unknown || known->epoch == unknown || epoch == known->epoch;
  }

  Fetcher& fetcher_from(NodeId leader) {
    auto& fetcher = fetchers_[leader];
    if (fetcher == nullptr) fetcher = std::make_unique<Fetcher>(runtime_, leader, context_);
    return *fetcher;
  }

  std::vector<Replica> replicas() const { return ReplicaTable::Walk(table_).next(table_.size()); }

  // A partition that nothing has changed since it was made waits for nobody, unless others wait for
  // it: who is behind, or has another leader to make known, makes haste.
  bool is_at_ease(const metadata::Topic& topic, PartitionIndex index) const {
    const auto& partition = topic.partitions[static_cast<std::size_t>(index.value())];
    return partition->partition_epoch == 0 && waiting_.size() <= changes_behind_max && urgent_ == 0;
  }

  // Opens the logs that these topics need, as many at a time as the layout recovers. What is made
  // of them comes later and in order: nobody sees a replica before it knows its state.
  Task<void> open_ahead(Change change) {
    std::deque<Wanted> wanted;
    for (const TopicId& id : change.delta->topics) {
      const metadata::TopicPtr topic = change.image->topic(id);
      if (topic == nullptr) continue;
      for (const PartitionIndex index : changed_partitions(*change.delta, *topic)) {
        if (is_here(*topic, index) && !find(id, index)) wanted.push_back({topic, index});
      }
    }
    if (wanted.empty()) co_return;
    runtime::Gate workers(runtime_);
    const std::size_t parallelism = std::max<std::size_t>(1, layout_.recovery().parallelism);
    for (std::size_t i = 0; i < std::min(parallelism, wanted.size()); ++i) {
      workers.start([this, &wanted] { return open_each(wanted); });
    }
    co_await workers.close();
    if (std::exchange(recovery_told_, true)) co_return;
    log(LogLevel::info, "replicas", "{}", layout_.recovery().to_string());
  }

  Task<void> open_each(std::deque<Wanted>& wanted) {
    while (!wanted.empty() && !stopped_) {
      const Wanted next = wanted.front();
      wanted.pop_front();
      auto opened = co_await open(next.topic, next.index);
      opened_.insert_or_assign(Key{next.topic->id, next.index}, std::move(opened));
      co_await turns_.take(is_at_ease(*next.topic, next.index));
    }
  }

  bool is_here(const metadata::Topic& topic, PartitionIndex index) const {
    const auto& replicas = topic.partitions[static_cast<std::size_t>(index.value())]->replicas;
    return std::find(replicas.begin(), replicas.end(), context_.self) != replicas.end() &&
           shard_of(topic.id, index, context_.shard_count) == context_.shard;
  }

  // What open_ahead() has opened.
  Result<Replica> take_opened(TopicId topic, PartitionIndex index) {
    const auto at = opened_.find(Key{topic, index});
    if (at == opened_.end()) return fail(Errc::aborted, "it was not opened");
    Result<Replica> opened = std::move(at->second);
    opened_.erase(at);
    return opened;
  }

  Task<void> drop(TopicId id) {
    const std::vector<PartitionIndex> gone = table_.partitions_of(id);
    for (const PartitionIndex partition : gone) {
      co_await drop_one(id, partition);
      co_await turns_.take(false);
    }
  }

  // Its topic is gone, or it was reassigned to others.
  Task<void> drop_one(TopicId topic, PartitionIndex partition) {
    const Replica replica = table_.take(topic, partition);
    if (replica == nullptr) co_return;
    ++told_.dropped;
    const auto removed = co_await replica->remove();
    if (!removed) {
      log(LogLevel::warn, "replicas", "deleting {}: {}, ignoring", replica->partition().name(),
          removed.error().message());
    }
  }

  // What all brokers are told at run time concerns every partition here.
  Task<void> follow_all(metadata::ImagePtr image) {
    const std::vector<TopicId> topics = table_.topics();
    for (const TopicId& id : topics) {
      const metadata::TopicPtr topic = image->topic(id);
      if (topic != nullptr) co_await follow(image, topic, table_.partitions_of(id));
      if (stopped_) co_return;
    }
  }

  Task<void> follow(metadata::ImagePtr image, metadata::TopicPtr topic,
                    std::vector<PartitionIndex> indexes) {
    for (const PartitionIndex index : indexes) {
      if (!is_here(*topic, index)) {
        co_await drop_one(topic->id, index);
        continue;
      }
      Replica replica = find(topic->id, index);
      const bool is_new = replica == nullptr;
      if (is_new) {
        auto opened = take_opened(topic->id, index);
        if (!opened && stopped_) co_return;
        if (!opened) {
          const std::string name = TopicPartition{topic->name, index}.name();
          context_.on_fatal(Error{opened.error().code,
                                  fmt::format("opening {}: {}", name, opened.error().context)});
          co_return;
        }
        replica = std::move(*opened);
        table_.put(topic->id, index, replica);
      }
      auto state = state_of(*image, *topic, index, context_.options);
      const NodeId leader = state.leader;
      const bool is_new_leader = leader != replica->state().leader;
      const LeaderEpoch before = replica->state().leader_epoch;
      const auto applied = co_await replica->apply(std::move(state));
      if (!applied) context_.on_fatal(applied.error());
      ++told_.replicas;
      const bool leads = replica->state().leader == context_.self;
      if (leads && replica->state().leader_epoch != before) tell_of_leader(*replica);
      // A fetcher keeps all that follow its leader, and hears of their changes.
      const bool follows = leader != no_node && leader != context_.self;
      if (follows && is_new_leader && groups_ == nullptr) {
        fetcher_from(leader).follow(std::static_pointer_cast<IsrReplicator>(replica));
      }
      co_await turns_.take(is_new && is_at_ease(*topic, index));
      if (stopped_) co_return;
    }
  }

  Task<Result<Replica>> open(metadata::TopicPtr topic, PartitionIndex index) {
    TopicPartition name{topic->name, index};
    storage::LogName log_name{name.name(), topic->id};
    const storage::LogOptions options = log_options_of(*topic, context_.options.log);
    CO_TRY(auto opened, co_await layout_.open(std::move(log_name), options));
    if (opened->recovery().dropped) {
      log(LogLevel::warn, "replicas", "{}: {}", name.name(), *opened->recovery().dropped);
    }
    if (groups_ != nullptr) {
      const auto& partition = topic->partitions[static_cast<std::size_t>(index.value())];
      co_return co_await ConsensusReplicator::open(
          *groups_, std::move(name), topic->id, partition->replicas, std::move(opened), context_);
    }
    co_return co_await IsrReplicator::open(runtime_, std::move(name), std::move(opened), context_);
  }

  void direct_fetchers(const metadata::Image& image) {
    for (auto& [leader, fetcher] : fetchers_) {
      const metadata::Broker* broker = image.broker(leader);
      if (broker != nullptr) fetcher->set_endpoint({broker->host, broker->port});
      fetcher->start();
      fetcher->wake();
    }
  }

  Task<void> watch_lag() {
    while (!stopped_) {
      const bool stopped =
          co_await stopping_.wait_until(runtime_.now() + context_.options.lag_max / 2);
      if (stopped) co_return;
      ReplicaTable::Walk walk(table_);
      for (auto some = walk.next(looked_at_once); !some.empty() && !stopped_;) {
        for (const Replica& replica : some) replica->check_lag();
        co_await runtime::yield(runtime_);
        some = walk.next(looked_at_once);
      }
    }
  }

  // One log at a time, so that cleaning takes a bounded part of the shard and of its memory.
  Task<void> clean_all() {
    while (!stopped_) {
      const bool stopped =
          co_await stopping_.wait_until(runtime_.now() + context_.options.retention_check_interval);
      if (stopped) co_return;
      ReplicaTable::Walk walk(table_);
      for (auto some = walk.next(Turns::replicas_at_once); !some.empty();) {
        for (const Replica& replica : some) {
          if (stopped_) co_return;
          co_await clean(replica);
        }
        co_await runtime::yield(runtime_);
        some = walk.next(Turns::replicas_at_once);
      }
    }
  }

  Task<void> clean(Replica replica) {
    const auto cleaned = co_await replica->clean();
    if (cleaned || cleaned.error().code == Errc::closed) co_return;
    if (cleaned.error().code == Errc::aborted) co_return;  // The log was cut; next time.
    log(LogLevel::warn, "replicas", "cleaning {}: {}, retrying in {} ms",
        replica->partition().name(), cleaned.error().message(),
        to_millis(context_.options.retention_check_interval));
  }

  runtime::Runtime& runtime_;
  storage::Layout& layout_;
  ReplicasContext context_;

  std::unique_ptr<GroupHost> groups_;  // Null: partitions are copied by fetching.
  metadata::ImagePtr image_;           // The one acted on last, or nullptr.
  ReplicaTable table_;
  // By leader, kept for as long as we live; started when a change was acted on as a whole.
  std::map<NodeId, std::unique_ptr<Fetcher>> fetchers_;
  Turns turns_;
  std::deque<Change> waiting_;  // Bounded by the metadata log itself: one per published image.
  std::size_t urgent_ = 0;      // Of waiting_.
  bool busy_ = false;
  Told told_;
  bool stopped_ = false;
  bool recovery_told_ = false;
  // Opened and not followed yet; empty between two changes.
  std::map<Key, Result<Replica>> opened_;
  runtime::Event changed_;  // Metadata came, or was acted on, or we stop.
  runtime::Gate gate_;
  runtime::Event stopping_;  // stopped_ was set.
  runtime::Gate cleaning_;   // Ends with the logs it works on.
};

Replicas::Replicas(runtime::Runtime& runtime, storage::Layout& layout, ReplicasContext context)
    : impl_(std::make_unique<Impl>(runtime, layout, std::move(context))) {}
Replicas::~Replicas() = default;

Task<Result<void>> Replicas::open_groups(storage::Engine& engine) {
  return impl_->open_groups(engine);
}

void Replicas::on_group_message(NodeId from, runtime::LinkEpoch link, ByteView message) {
  if (impl_->groups() != nullptr) impl_->groups()->receive(from, link, message);
}

void Replicas::on_link_up(NodeId peer, runtime::LinkEpoch link) {
  if (impl_->groups() != nullptr) impl_->groups()->link_up(peer, link);
}

void Replicas::on_link_down(NodeId peer, runtime::LinkEpoch link) {
  if (impl_->groups() != nullptr) impl_->groups()->link_down(peer, link);
}

const GroupHost* Replicas::groups() const {
  return impl_->groups();
}

void Replicas::on_metadata(metadata::ImagePtr image, metadata::DeltaPtr delta) {
  impl_->hand_in(std::move(image), std::move(delta));
}

Task<void> Replicas::settled() {
  return impl_->settled();
}

std::shared_ptr<Replicator> Replicas::find(TopicId topic, PartitionIndex partition) const {
  return impl_->find(topic, partition);
}

std::size_t Replicas::size() const {
  return impl_->size();
}

std::vector<Replicas::Entry> Replicas::all() const {
  return impl_->all();
}

std::uint64_t Replicas::fetch_looks() const {
  return impl_->fetch_looks();
}

Task<bool> Replicas::stop() {
  return impl_->stop();
}

}  // namespace qlab::replication
