#include "metadata/image.h"

#include <algorithm>

#include "common/check.h"

namespace qlab::metadata {

// Applies records to a copy of an image. Topics under change are opened once per batch and put back
// at the end.
class Replayer {
 public:
  Replayer(Image image, LogIndex at, Delta& delta)
      : image_(std::move(image)), at_(at), delta_(delta) {}

  void apply(const RegisterBrokerRecord& record);
  void apply(const TopicRecord& record);
  void apply(const PartitionRecord& record);
  void apply(const ConfigRecord& record);
  void apply(const PartitionChangeRecord& record);
  void apply(const FenceBrokerRecord& record);
  void apply(const UnfenceBrokerRecord& record);
  void apply(const RemoveTopicRecord& record);
  void apply(const ProducerIdsRecord& record);
  void apply(const BrokerRegistrationChangeRecord& record);
  Image finish() &&;

 private:
  Broker& known_broker(NodeId id, BrokerEpoch epoch);
  Topic& open(TopicId id);

  Image image_;
  LogIndex at_;
  Delta& delta_;
  std::map<TopicId, Topic> open_;
};

Image Replayer::finish() && {
  for (auto& [id, topic] : open_) {
    const auto shared = std::make_shared<const Topic>(std::move(topic));
    image_.topics_ = image_.topics_.with(shared->name, shared);
    image_.topics_by_id_ = image_.topics_by_id_.with(id, shared);
  }
  image_.offset_ = at_;
  return std::move(image_);
}

const Broker* Image::broker(NodeId id) const {
  const auto at = brokers_.find(id);
  return at == brokers_.end() ? nullptr : &at->second;
}

bool Image::is_active(NodeId id) const {
  const Broker* found = broker(id);
  return found != nullptr && found->is_active();
}

TopicPtr Image::topic(const std::string& name) const {
  const TopicPtr* found = topics_.find(name);
  return found != nullptr ? *found : nullptr;
}

TopicPtr Image::topic(TopicId id) const {
  const TopicPtr* found = topics_by_id_.find(id);
  return found != nullptr ? *found : nullptr;
}

const Partition* Image::partition(TopicId id, PartitionIndex index) const {
  const TopicPtr* found = topics_by_id_.find(id);
  if (found == nullptr || index.value() < 0) return nullptr;
  const auto& partitions = (*found)->partitions;
  const auto position = static_cast<std::size_t>(index.value());
  return position < partitions.size() ? partitions[position].get() : nullptr;
}

void Replayer::apply(const RegisterBrokerRecord& record) {
  CHECK(record.broker_epoch > image_.last_broker_epoch_);
  image_.last_broker_epoch_ = record.broker_epoch;
  Broker broker;
  broker.id = record.broker_id;
  broker.epoch = record.broker_epoch;
  broker.incarnation = record.incarnation;
  broker.directory = record.directory;
  broker.host = record.host;
  broker.port = record.port;
  broker.registered_at = at_;
  image_.brokers_[record.broker_id] = std::move(broker);
  delta_.brokers.insert(record.broker_id);
}

void Replayer::apply(const TopicRecord& record) {
  CHECK(image_.topic(record.name) == nullptr);
  CHECK(!open_.contains(record.topic_id));
  delta_.topics.insert(record.topic_id);
  Topic& topic = open_[record.topic_id];
  topic.name = record.name;
  topic.id = record.topic_id;
}

void Replayer::apply(const PartitionRecord& record) {
  Topic& topic = open(record.topic_id);
  CHECK(record.partition.value() == static_cast<std::int64_t>(topic.partitions.size()));
  CHECK(!record.replicas.empty());
  CHECK(!record.isr.empty());
  topic.partitions.push_back(std::make_shared<const Partition>(Partition{
      record.replicas, record.isr, record.leader, record.leader_epoch, record.partition_epoch}));
}

void Replayer::apply(const ConfigRecord& record) {
  Topic& topic = open(record.topic_id);
  topic.configs[record.key] = record.value;
}

void Replayer::apply(const PartitionChangeRecord& record) {
  Topic& topic = open(record.topic_id);
  const auto position = static_cast<std::size_t>(record.partition.value());
  CHECK(position < topic.partitions.size());
  Partition partition = *topic.partitions[position];
  if (record.isr) {
    CHECK(!record.isr->empty());
    partition.isr = *record.isr;
  }
  if (record.leader != NodeId{-2}) {
    partition.leader = record.leader;
    partition.leader_epoch = partition.leader_epoch.next();
  }
  CHECK(partition.leader == no_node || std::find(partition.isr.begin(), partition.isr.end(),
                                                 partition.leader) != partition.isr.end());
  ++partition.partition_epoch;
  topic.partitions[position] = std::make_shared<const Partition>(std::move(partition));
}

void Replayer::apply(const FenceBrokerRecord& record) {
  known_broker(record.broker_id, record.broker_epoch).fenced = true;
}

void Replayer::apply(const UnfenceBrokerRecord& record) {
  known_broker(record.broker_id, record.broker_epoch).fenced = false;
}

void Replayer::apply(const RemoveTopicRecord& record) {
  const std::string name = open(record.topic_id).name;
  open_.erase(record.topic_id);
  image_.topics_ = image_.topics_.without(name);
  image_.topics_by_id_ = image_.topics_by_id_.without(record.topic_id);
}

void Replayer::apply(const ProducerIdsRecord& record) {
  CHECK(record.next_producer_id > image_.next_producer_id_);
  image_.next_producer_id_ = record.next_producer_id;
}

void Replayer::apply(const BrokerRegistrationChangeRecord& record) {
  known_broker(record.broker_id, record.broker_epoch).shutting_down = true;
}

Broker& Replayer::known_broker(NodeId id, BrokerEpoch epoch) {
  const auto at = image_.brokers_.find(id);
  CHECK(at != image_.brokers_.end());
  CHECK(at->second.epoch == epoch);
  delta_.brokers.insert(id);
  return at->second;
}

Topic& Replayer::open(TopicId id) {
  delta_.topics.insert(id);
  const auto at = open_.find(id);
  if (at != open_.end()) return at->second;
  const TopicPtr known = image_.topic(id);
  CHECK(known != nullptr);
  return open_.emplace(id, *known).first->second;
}

Image Image::replay(const Records& records, LogIndex at, Delta& delta) const {
  Replayer replayer(*this, at, delta);
  for (const Record& record : records) {
    std::visit([&](const auto& typed) { replayer.apply(typed); }, record);
  }
  return std::move(replayer).finish();
}

}  // namespace qlab::metadata
