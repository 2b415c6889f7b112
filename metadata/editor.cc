#include "metadata/editor.h"

#include "common/check.h"

namespace qlab::metadata {

const std::shared_ptr<const Partition>& no_partition() {
  static const auto none = std::make_shared<const Partition>();
  return none;
}

void Editor::set_broker(Broker broker) {
  const auto at = image_.brokers_.find(broker.id);
  if (at != image_.brokers_.end() && at->second == broker) return;
  delta_.brokers.insert(broker.id);
  image_.brokers_[broker.id] = std::move(broker);
}

void Editor::open_topic(TopicId id, const std::string& name) {
  if (open_.contains(id)) return;
  const TopicPtr namesake = image_.topic(name);
  if (namesake != nullptr && namesake->id != id) remove_topic(namesake->id);
  const TopicPtr known = image_.topic(id);
  Open opened;
  if (known != nullptr) {
    opened.topic = *known;
  } else {
    opened.topic.id = id;
    opened.topic.name = name;
    opened.as_whole = true;
  }
  open_.emplace(id, std::move(opened));
}

void Editor::set_partition(TopicId id, PartitionIndex index,
                           std::shared_ptr<const Partition> partition) {
  CHECK(index.value() >= 0);
  CHECK(index.value() < partitions_max);
  Open& open = open_.at(id);
  auto& partitions = open.topic.partitions;
  const auto position = static_cast<std::size_t>(index.value());
  while (partitions.size() < position) partitions.push_back(edit_, no_partition());
  if (position == partitions.size()) {
    partitions.push_back(edit_, std::move(partition));
  } else {
    partitions.set(edit_, position, std::move(partition));
  }
  open.changed.insert(index);
}

void Editor::clear_partition(TopicId id, PartitionIndex index) {
  if (partition(id, index) != nullptr) set_partition(id, index, no_partition());
}

void Editor::set_configs(TopicId id, Configs configs) {
  Open& open = open_.at(id);
  if (open.topic.configs == configs) return;
  open.topic.configs = std::move(configs);
  open.as_whole = true;
}

void Editor::set_broker_configs(NodeId id, Configs configs) {
  if (image_.broker_configs(id) == configs) return;
  image_.broker_configs_[id] = std::move(configs);
  delta_.broker_configs = true;
}

void Editor::remove_topic(TopicId id) {
  open_.erase(id);
  const TopicPtr known = image_.topic(id);
  if (known == nullptr) return;
  image_.topics_.erase(edit_, known->name);
  image_.topics_by_id_.erase(edit_, id);
  delta_.topics.insert(id);
  delta_.partitions.erase(id);
}

const Partition* Editor::partition(TopicId id, PartitionIndex index) const {
  const auto open = open_.find(id);
  const Partition* found = nullptr;
  if (open == open_.end()) {
    found = image_.partition(id, index);
  } else if (const auto position = static_cast<std::size_t>(index.value());
             position < open->second.topic.partitions.size()) {
    found = open->second.topic.partitions[position].get();
  }
  return found == nullptr || found->replicas.empty() ? nullptr : found;
}

Image Editor::finish(LogIndex at) && {
  CHECK(at > image_.offset_);
  for (auto& [id, open] : open_) {
    if (open.changed.empty() && !open.as_whole) continue;
    const auto shared = std::make_shared<const Topic>(std::move(open.topic));
    image_.topics_.set(edit_, shared->name, shared);
    image_.topics_by_id_.set(edit_, id, shared);
    delta_.topics.insert(id);
    if (open.as_whole) {
      delta_.partitions.erase(id);
    } else {
      delta_.partitions[id].merge(open.changed);
    }
  }
  image_.offset_ = at;
  return std::move(image_);
}

}  // namespace qlab::metadata
