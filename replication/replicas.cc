#include "replication/replicas.h"

#include <algorithm>
#include <charconv>
#include <deque>
#include <utility>

#include "common/check.h"
#include "common/logging.h"
#include "replication/fetcher.h"
#include "replication/isr_replicator.h"
#include "storage/topic_options.h"

namespace qlab::replication {
namespace {

using Replica = std::shared_ptr<IsrReplicator>;

// The value of a numeric config: a topic's own, that of all brokers, or `otherwise`. The controller
// has checked it.
std::int64_t config_of(const metadata::Image& image, const metadata::Topic& topic,
                       const std::string& key, std::int64_t otherwise) {
  std::int64_t value = otherwise;
  for (const metadata::Configs* configs : {&topic.configs, &image.broker_configs(no_node)}) {
    const auto at = configs->find(key);
    if (at == configs->end()) continue;
    std::from_chars(at->second.data(), at->second.data() + at->second.size(), value);
    break;
  }
  return value;
}

// The options of a topic's logs: what it does not say itself is `defaults`.
storage::LogOptions log_options_of(const metadata::Topic& topic, storage::LogOptions defaults) {
  for (const auto& [key, value] : topic.configs) {
    // The controller has checked them, and not all are of the log.
    [[maybe_unused]] const Result<void> set = storage::set_topic_option(defaults, key, value);
  }
  return defaults;
}

// Of a topic that a delta names: which partitions to look at.
std::vector<PartitionIndex> changed_partitions(const metadata::Delta& delta,
                                               const metadata::Topic& topic) {
  const auto some = delta.partitions.find(topic.id);
  if (some != delta.partitions.end()) return {some->second.begin(), some->second.end()};
  std::vector<PartitionIndex> all;
  for (std::size_t p = 0; p < topic.partitions.size(); ++p) {
    all.push_back(PartitionIndex{static_cast<std::int32_t>(p)});
  }
  return all;
}

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
        changed_(runtime),
        gate_(runtime),
        stopping_(runtime),
        cleaning_(runtime) {
    gate_.start([this] { return follow_metadata(); });
    gate_.start([this] { return watch_lag(); });
    cleaning_.start([this] { return clean_all(); });
  }

  void hand_in(metadata::ImagePtr image, metadata::DeltaPtr delta) {
    waiting_.push_back({std::move(image), std::move(delta)});
    changed_.notify_all();
  }

  Task<void> settled() {
    while (!stopped_ && (busy_ || !waiting_.empty())) co_await changed_.wait();
  }

  Replica find(const TopicPartition& partition) const {
    const auto at = slots_.find(partition);
    return at == slots_.end() ? nullptr : at->second.replica;
  }

  std::vector<Entry> all() const {
    std::vector<Entry> entries;
    for (const auto& [partition, slot] : slots_) entries.push_back({partition, slot.replica});
    return entries;
  }

  Task<void> stop() {
    stopped_ = true;
    changed_.notify_all();
    stopping_.notify_all();
    for (auto& [leader, fetcher] : fetchers_) co_await fetcher->stop();
    co_await gate_.close();
    for (auto& [partition, replica] : opened_) {
      if (replica) slots_[partition].replica = *replica;
    }
    opened_.clear();
    for (auto& [partition, slot] : slots_) {
      const auto closed = co_await slot.replica->close();
      if (!closed) {
        log(LogLevel::warn, "replicas", "closing {}: {}, ignoring", partition.name(),
            closed.error().message());
      }
    }
    co_await cleaning_.close();
  }

 private:
  struct Slot {
    TopicId topic_id;
    Replica replica;
  };
  struct Wanted {
    metadata::TopicPtr topic;
    PartitionIndex index;
  };
  struct Change {
    metadata::ImagePtr image;
    metadata::DeltaPtr delta;
  };

  Task<void> follow_metadata() {
    while (!stopped_) {
      if (waiting_.empty()) {
        co_await changed_.wait();
        continue;
      }
      const Change change = std::move(waiting_.front());
      waiting_.pop_front();
      busy_ = true;
      co_await act_on(change);
      busy_ = false;
      changed_.notify_all();
    }
  }

  // Removals first: a topic may have been deleted and made anew under the same name.
  Task<void> act_on(Change change) {
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
  }

  // Opens the logs that these topics need, as many at a time as the layout recovers. What is made
  // of them comes later and in order: nobody sees a replica before it knows its state.
  Task<void> open_ahead(Change change) {
    std::deque<Wanted> wanted;
    for (const TopicId& id : change.delta->topics) {
      const metadata::TopicPtr topic = change.image->topic(id);
      if (topic == nullptr) continue;
      for (const PartitionIndex index : changed_partitions(*change.delta, *topic)) {
        const TopicPartition name{topic->name, index};
        const bool is_open = slots_.contains(name) || opened_.contains(name);
        if (is_here(*topic, index) && !is_open) wanted.push_back({topic, index});
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
      const TopicPartition name{next.topic->name, next.index};
      auto opened = co_await open(*next.topic, name);
      opened_.insert_or_assign(name, std::move(opened));
    }
  }

  bool is_here(const metadata::Topic& topic, PartitionIndex index) const {
    const auto& replicas = topic.partitions[static_cast<std::size_t>(index.value())]->replicas;
    return std::find(replicas.begin(), replicas.end(), context_.self) != replicas.end() &&
           shard_of(topic.id, index, context_.shard_count) == context_.shard;
  }

  // What open_ahead() has opened.
  Result<Replica> take_opened(const TopicPartition& name) {
    const auto at = opened_.find(name);
    if (at == opened_.end()) return fail(Errc::aborted, "{} was not opened", name.name());
    Result<Replica> opened = std::move(at->second);
    opened_.erase(at);
    return opened;
  }

  Task<void> drop(TopicId id) {
    std::vector<TopicPartition> gone;
    for (const auto& [partition, slot] : slots_) {
      if (slot.topic_id == id) gone.push_back(partition);
    }
    for (const TopicPartition& partition : gone) co_await drop_one(partition);
  }

  // Its topic is gone, or it was reassigned to others.
  Task<void> drop_one(TopicPartition partition) {
    const Replica replica = slots_.at(partition).replica;
    slots_.erase(partition);
    const auto removed = co_await replica->remove();
    if (!removed) {
      log(LogLevel::warn, "replicas", "deleting {}: {}, ignoring", partition.name(),
          removed.error().message());
    }
  }

  // What all brokers are told at run time concerns every partition here.
  Task<void> follow_all(metadata::ImagePtr image) {
    std::map<TopicId, std::vector<PartitionIndex>> here;
    for (const auto& [name, slot] : slots_) here[slot.topic_id].push_back(name.partition);
    for (const auto& [id, indexes] : here) {
      const metadata::TopicPtr topic = image->topic(id);
      if (topic != nullptr) co_await follow(image, topic, indexes);
      if (stopped_) co_return;
    }
  }

  Task<void> follow(metadata::ImagePtr image, metadata::TopicPtr topic_ptr,
                    std::vector<PartitionIndex> indexes) {
    const metadata::Topic& topic = *topic_ptr;
    for (const PartitionIndex index : indexes) {
      const auto partition = topic.partitions[static_cast<std::size_t>(index.value())];
      const auto& replicas = partition->replicas;
      const TopicPartition name{topic.name, index};
      if (!is_here(topic, index)) {
        if (slots_.contains(name)) co_await drop_one(name);
        continue;
      }
      if (!slots_.contains(name)) {
        auto opened = take_opened(name);
        if (!opened && stopped_) co_return;
        if (!opened) {
          context_.on_fatal(Error{opened.error().code, fmt::format("opening {}: {}", name.name(),
                                                                   opened.error().context)});
          co_return;
        }
        slots_[name] = Slot{topic.id, std::move(*opened)};
      }
      PartitionState state;
      state.topic_id = topic.id;
      state.leader = partition->leader;
      state.leader_epoch = partition->leader_epoch;
      state.partition_epoch = partition->partition_epoch;
      state.replicas = replicas;
      state.isr = partition->isr;
      state.min_insync_replicas = static_cast<std::int32_t>(
          config_of(*image, topic, "min.insync.replicas", context_.options.min_insync_replicas));
      state.cleanup_policy = log_options_of(topic, context_.options.log).cleanup_policy;
      const auto applied = co_await slots_.at(name).replica->apply(std::move(state));
      if (!applied) context_.on_fatal(applied.error());
    }
  }

  Task<Result<Replica>> open(metadata::Topic topic, TopicPartition name) {
    storage::LogName log_name{name.name(), topic.id};
    const storage::LogOptions options = log_options_of(topic, context_.options.log);
    CO_TRY(auto opened, co_await layout_.open(std::move(log_name), options));
    if (opened->recovery().dropped) {
      log(LogLevel::warn, "replicas", "{}: {}", name.name(), *opened->recovery().dropped);
    }
    co_return co_await IsrReplicator::open(runtime_, std::move(name), std::move(opened), context_);
  }

  void direct_fetchers(const metadata::Image& image) {
    for (const auto& [partition, slot] : slots_) {
      const NodeId leader = slot.replica->state().leader;
      if (leader == no_node || leader == context_.self || fetchers_.contains(leader)) continue;
      auto fetcher =
          std::make_unique<Fetcher>(runtime_, context_.self, leader, context_.options, [this] {
            std::vector<Replica> replicas;
            for (const auto& [name, candidate] : slots_) replicas.push_back(candidate.replica);
            return replicas;
          });
      fetcher->start();
      fetchers_.emplace(leader, std::move(fetcher));
    }
    for (auto& [leader, fetcher] : fetchers_) {
      const metadata::Broker* broker = image.broker(leader);
      if (broker != nullptr) fetcher->set_endpoint({broker->host, broker->port});
      fetcher->wake();
    }
  }

  Task<void> watch_lag() {
    while (!stopped_) {
      co_await changed_.wait_until(runtime_.now() + context_.options.lag_max / 2);
      for (const auto& [partition, slot] : slots_) slot.replica->check_lag();
    }
  }

  // One log at a time, so that cleaning takes a bounded part of the shard and of its memory.
  Task<void> clean_all() {
    while (!stopped_) {
      const bool stopped =
          co_await stopping_.wait_until(runtime_.now() + context_.options.retention_check_interval);
      if (stopped) co_return;
      std::vector<Replica> replicas;
      for (const auto& [partition, slot] : slots_) replicas.push_back(slot.replica);
      for (const Replica& replica : replicas) {
        if (stopped_) co_return;
        co_await clean(replica);
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
  const ReplicasContext context_;

  std::map<TopicPartition, Slot> slots_;
  std::map<NodeId, std::unique_ptr<Fetcher>> fetchers_;  // By leader; kept for as long as we live.
  std::deque<Change> waiting_;  // Bounded by the metadata log itself: one per published image.
  bool busy_ = false;
  bool stopped_ = false;
  bool recovery_told_ = false;
  // Opened and not followed yet; empty between two changes.
  std::map<TopicPartition, Result<Replica>> opened_;
  runtime::Event changed_;  // Metadata came, or was acted on, or we stop.
  runtime::Gate gate_;
  runtime::Event stopping_;  // stopped_ was set.
  runtime::Gate cleaning_;   // Ends with the logs it works on.
};

Replicas::Replicas(runtime::Runtime& runtime, storage::Layout& layout, ReplicasContext context)
    : impl_(std::make_unique<Impl>(runtime, layout, std::move(context))) {}
Replicas::~Replicas() = default;

void Replicas::on_metadata(metadata::ImagePtr image, metadata::DeltaPtr delta) {
  impl_->hand_in(std::move(image), std::move(delta));
}

Task<void> Replicas::settled() {
  return impl_->settled();
}

std::shared_ptr<Replicator> Replicas::find(const std::string& topic,
                                           PartitionIndex partition) const {
  return impl_->find(TopicPartition{topic, partition});
}

std::vector<Replicas::Entry> Replicas::all() const {
  return impl_->all();
}

Task<void> Replicas::stop() {
  return impl_->stop();
}

}  // namespace qlab::replication
