#include "replication/partition_view.h"

#include <charconv>

#include "storage/topic_options.h"

namespace qlab::replication {
namespace {

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

}  // namespace

storage::LogOptions log_options_of(const metadata::Topic& topic, storage::LogOptions defaults) {
  for (const auto& [key, value] : topic.configs) {
    // The controller has checked them, and not all are of the log.
    [[maybe_unused]] const Result<void> set = storage::set_topic_option(defaults, key, value);
  }
  return defaults;
}

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

PartitionState state_of(const metadata::Image& image, const metadata::Topic& topic,
                        PartitionIndex index, const ReplicationOptions& options) {
  const auto& partition = topic.partitions[static_cast<std::size_t>(index.value())];
  PartitionState state;
  state.topic_id = topic.id;
  state.leader = partition->leader;
  state.leader_epoch = partition->leader_epoch;
  state.partition_epoch = partition->partition_epoch;
  state.replicas = partition->replicas;
  state.isr = partition->isr;
  state.min_insync_replicas = static_cast<std::int32_t>(
      config_of(image, topic, "min.insync.replicas", options.min_insync_replicas));
  state.cleanup_policy = log_options_of(topic, options.log).cleanup_policy;
  return state;
}

}  // namespace qlab::replication
