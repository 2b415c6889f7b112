#include "sim/cluster_history.h"

#include <string_view>

namespace qlab::sim {
namespace {

// FNV-1a over whatever an image is made of.
class Digest {
 public:
  void add(std::uint64_t value) {
    for (int i = 0; i < 8; ++i) byte(static_cast<std::uint8_t>(value >> (8 * i)));
  }
  void add(std::int64_t value) { add(static_cast<std::uint64_t>(value)); }
  void add(const Uuid& id) {
    add(id.high);
    add(id.low);
  }
  void add(std::string_view text) {
    add(static_cast<std::uint64_t>(text.size()));
    for (const char c : text) byte(static_cast<std::uint8_t>(c));
  }
  void add(const std::vector<NodeId>& nodes) {
    add(static_cast<std::uint64_t>(nodes.size()));
    for (const NodeId node : nodes) add(std::int64_t{node.value()});
  }
  void add(const metadata::Configs& configs) {
    add(static_cast<std::uint64_t>(configs.size()));
    for (const auto& [key, value] : configs) {
      add(std::string_view(key));
      add(std::string_view(value));
    }
  }
  std::uint64_t value() const { return value_; }

 private:
  void byte(std::uint8_t b) { value_ = (value_ ^ b) * 0x100000001B3; }
  std::uint64_t value_ = 0xCBF29CE484222325;
};

void add(Digest& digest, const metadata::Partition& partition) {
  digest.add(partition.replicas);
  digest.add(partition.isr);
  digest.add(partition.elr);
  digest.add(partition.adding);
  digest.add(partition.removing);
  for (const std::int64_t value :
       {std::int64_t{partition.leader.value()}, std::int64_t{partition.leader_epoch.value()},
        std::int64_t{partition.partition_epoch}, std::int64_t{partition.last_known_leader.value()},
        std::int64_t{partition.recovering}}) {
    digest.add(value);
  }
}

std::uint64_t digest_of(const metadata::Topic& topic) {
  Digest digest;
  digest.add(topic.id);
  digest.add(std::string_view(topic.name));
  digest.add(topic.configs);
  digest.add(std::int64_t{topic.partitions_wanted});
  for (std::size_t p = 0; p < topic.partitions.size(); ++p) add(digest, *topic.partitions[p]);
  return digest.value();
}

}  // namespace

std::uint64_t digest_of(const metadata::Image& image) {
  Digest digest;
  for (const auto& [id, broker] : image.brokers()) {
    digest.add(std::int64_t{id.value()});
    digest.add(broker.epoch.value());
    digest.add(broker.incarnation);
    digest.add(broker.directory);
    digest.add(std::string_view(broker.host));
    digest.add(std::int64_t{broker.port});
    digest.add(std::int64_t{broker.fenced} * 2 + std::int64_t{broker.shutting_down});
    digest.add(broker.registered_at.value());
    digest.add(image.broker_configs(id));
  }
  digest.add(image.broker_configs(no_node));
  digest.add(image.last_broker_epoch().value());
  digest.add(image.next_producer_id().value());
  std::uint64_t topics = 0;  // A sum, as they come in the order of their hashes.
  image.topics().for_each([&topics](const std::string&, const metadata::TopicPtr& topic) {
    topics += digest_of(*topic);
  });
  digest.add(topics);
  for (const auto& [id, topic] : image.forming()) digest.add(digest_of(*topic));
  return digest.value();
}

std::uint64_t digest_of_topics(const metadata::Image& image) {
  std::uint64_t topics = 0;
  image.topics().for_each([&topics](const std::string& name, const metadata::TopicPtr& topic) {
    Digest digest;
    digest.add(topic->id);
    digest.add(std::string_view(name));
    for (std::size_t p = 0; p < topic->partitions.size(); ++p) {
      const metadata::Partition& partition = *topic->partitions[p];
      digest.add(partition.replicas);
      digest.add(partition.isr);
      digest.add(std::int64_t{partition.leader.value()});
      digest.add(std::int64_t{partition.leader_epoch.value()});
    }
    topics += digest.value();
  });
  return topics;
}

Offset ClusterHistory::watermark(const TopicPartition& partition, LeaderEpoch epoch) const {
  const auto fate = partitions.find(partition);
  if (fate == partitions.end()) return Offset{0};
  const auto at = fate->second.watermarks.find(epoch);
  return at == fate->second.watermarks.end() ? Offset{0} : at->second;
}

bool ClusterHistory::is_kept(const TopicPartition& partition) const {
  const auto topic = topics.find(partition.topic);
  return topic != topics.end() && topic->second.is_created && !topic->second.is_deletion_asked;
}

}  // namespace qlab::sim
