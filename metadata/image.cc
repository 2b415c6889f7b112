#include "metadata/image.h"

namespace qlab::metadata {

void Delta::add_all(const Image& image) {
  image.topics().for_each(
      [this](const std::string&, const TopicPtr& topic) { topics.insert(topic->id); });
  for (const auto& [id, broker] : image.brokers()) brokers.insert(id);
  broker_configs = true;
}

const Broker* Image::broker(NodeId id) const {
  const auto at = brokers_.find(id);
  return at == brokers_.end() ? nullptr : &at->second;
}

bool Image::is_active(NodeId id) const {
  const Broker* found = broker(id);
  return found != nullptr && found->is_active();
}

const Configs& Image::broker_configs(NodeId id) const {
  static const Configs none;
  const auto at = broker_configs_.find(id);
  return at == broker_configs_.end() ? none : at->second;
}

TopicPtr Image::topic(const std::string& name) const {
  const TopicPtr* found = topics_.find(name);
  return found != nullptr ? *found : nullptr;
}

TopicPtr Image::topic(TopicId id) const {
  const TopicPtr* found = topics_by_id_.find(id);
  return found != nullptr ? *found : nullptr;
}

TopicPtr Image::any_topic(TopicId id) const {
  const auto at = forming_.find(id);
  return at != forming_.end() ? at->second : topic(id);
}

const Partition* Image::partition(TopicId id, PartitionIndex index) const {
  const TopicPtr* found = topics_by_id_.find(id);
  if (found == nullptr || index.value() < 0) return nullptr;
  const auto& partitions = (*found)->partitions;
  const auto position = static_cast<std::size_t>(index.value());
  return position < partitions.size() ? partitions[position].get() : nullptr;
}

}  // namespace qlab::metadata
