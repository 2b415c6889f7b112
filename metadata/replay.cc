#include <algorithm>

#include "common/check.h"
#include "metadata/image.h"

namespace qlab::metadata {
namespace {

using Shift = std::map<TopicId, std::int64_t>;  // By how much a topic's count changes.

// Brokers by which a partition would be found when one of them goes or comes.
template <class Visit>
void for_each_holder(const Partition& partition, Visit visit) {
  for (NodeId node : partition.isr) visit(node);
  for (NodeId node : partition.elr) visit(node);
  const NodeId last = partition.last_known_leader;
  const auto is_in = [&](const std::vector<NodeId>& nodes) {
    return std::find(nodes.begin(), nodes.end(), last) != nodes.end();
  };
  if (last != no_node && !is_in(partition.isr) && !is_in(partition.elr)) visit(last);
}

}  // namespace

// Applies records to a copy of an image. Topics under change are opened once per batch and put back
// at the end, and so are the counts of the index.
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
  struct Open {
    Topic topic;
    bool is_new = false;    // To those who do not see what is forming.
    bool as_whole = false;  // Not only partitions that were there changed.
    std::set<PartitionIndex> changed = {};
  };

  Broker& known_broker(NodeId id, BrokerEpoch epoch);
  Open& open(TopicId id);
  void close(TopicId id, Open open);
  void count(TopicId id, const Partition& partition, int by);
  void shift(TopicCounts& counts, const Shift& shift);
  void forget(TopicCounts& counts, TopicId id);

  Image image_;
  LogIndex at_;
  Delta& delta_;
  Edit edit_;
  std::map<TopicId, Open> open_;
  std::map<NodeId, Shift> held_;
  std::map<NodeId, Shift> led_;
  Shift not_preferred_;
  Shift reassigning_;
};

Image Image::replay(const Records& records, LogIndex at, Delta& delta) const {
  Replayer replayer(*this, at, delta);
  for (const Record& record : records) {
    std::visit([&](const auto& typed) { replayer.apply(typed); }, record);
  }
  return std::move(replayer).finish();
}

Image Replayer::finish() && {
  for (auto& [id, open] : open_) close(id, std::move(open));
  for (const auto& [node, counts] : held_) shift(image_.index_.held[node], counts);
  for (const auto& [node, counts] : led_) shift(image_.index_.led[node], counts);
  shift(image_.index_.not_preferred, not_preferred_);
  shift(image_.index_.reassigning, reassigning_);
  image_.offset_ = at_;
  return std::move(image_);
}

void Replayer::close(TopicId id, Open open) {
  Topic& topic = open.topic;
  const auto size = static_cast<std::int64_t>(topic.partitions.size());
  const bool is_whole = topic.partitions_wanted < 0 || size >= topic.partitions_wanted;
  CHECK(!is_whole || topic.partitions_wanted < 0 || size == topic.partitions_wanted);
  if (is_whole) topic.partitions_wanted = -1;
  const auto shared = std::make_shared<const Topic>(std::move(topic));
  if (!is_whole) {
    image_.forming_[id] = shared;
    return;
  }
  image_.forming_.erase(id);
  image_.topics_.set(edit_, shared->name, shared);
  image_.topics_by_id_.set(edit_, id, shared);

  const bool partly_known = delta_.partitions.contains(id);
  const bool known_as_whole = delta_.topics.contains(id) && !partly_known;
  delta_.topics.insert(id);
  if (open.is_new || open.as_whole || known_as_whole) {
    delta_.partitions.erase(id);
  } else {
    delta_.partitions[id].merge(open.changed);
  }
}

void Replayer::count(TopicId id, const Partition& partition, int by) {
  for_each_holder(partition, [&](NodeId node) { held_[node][id] += by; });
  led_[partition.leader][id] += by;
  if (partition.leader != partition.replicas.front()) not_preferred_[id] += by;
  if (partition.is_reassigning()) reassigning_[id] += by;
}

void Replayer::shift(TopicCounts& counts, const Shift& shift) {
  for (const auto& [id, by] : shift) {
    if (by == 0) continue;
    const std::uint32_t* before = counts.topics.find(id);
    const std::int64_t after = (before == nullptr ? 0 : *before) + by;
    CHECK(after >= 0);
    if (after == 0) {
      counts.topics.erase(edit_, id);
    } else {
      counts.topics.set(edit_, id, static_cast<std::uint32_t>(after));
    }
    counts.total += static_cast<std::uint64_t>(by);
  }
}

void Replayer::forget(TopicCounts& counts, TopicId id) {
  const std::uint32_t* count = counts.topics.find(id);
  if (count == nullptr) return;
  counts.total -= *count;
  counts.topics.erase(edit_, id);
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
  broker.rack = record.rack;
  broker.fenced = !record.unfenced;
  broker.shutting_down = record.shutting_down;
  broker.registered_at = record.registered_at.value() < 0 ? at_ : record.registered_at;
  image_.brokers_[record.broker_id] = std::move(broker);
  delta_.brokers.insert(record.broker_id);
}

void Replayer::apply(const TopicRecord& record) {
  CHECK(image_.topic(record.name) == nullptr);
  CHECK(!open_.contains(record.topic_id));
  CHECK(image_.any_topic(record.topic_id) == nullptr);
  Open& made = open_[record.topic_id];
  made.is_new = true;
  made.topic.name = record.name;
  made.topic.id = record.topic_id;
  made.topic.partitions_wanted = record.partitions;
}

void Replayer::apply(const PartitionRecord& record) {
  Open& at = open(record.topic_id);
  CHECK(record.partition.value() == static_cast<std::int64_t>(at.topic.partitions.size()));
  auto partition = std::make_shared<const Partition>(partition_of(record));
  count(record.topic_id, *partition, 1);
  at.topic.partitions.push_back(edit_, std::move(partition));
  at.changed.insert(record.partition);
}

void Replayer::apply(const ConfigRecord& record) {
  Configs* configs = nullptr;
  if (record.topic_id.is_zero()) {
    configs = &image_.broker_configs_[record.broker_id];
    delta_.broker_configs = true;
  } else {
    Open& at = open(record.topic_id);
    at.as_whole = true;
    configs = &at.topic.configs;
  }
  if (record.value) {
    (*configs)[record.key] = *record.value;
  } else {
    configs->erase(record.key);
  }
}

void Replayer::apply(const PartitionChangeRecord& record) {
  Open& at = open(record.topic_id);
  const auto position = static_cast<std::size_t>(record.partition.value());
  CHECK(position < at.topic.partitions.size());
  const Partition& before = *at.topic.partitions[position];
  count(record.topic_id, before, -1);
  auto after = std::make_shared<const Partition>(changed(before, record));
  count(record.topic_id, *after, 1);
  at.topic.partitions.set(edit_, position, std::move(after));
  at.changed.insert(record.partition);
}

void Replayer::apply(const FenceBrokerRecord& record) {
  known_broker(record.broker_id, record.broker_epoch).fenced = true;
}

void Replayer::apply(const UnfenceBrokerRecord& record) {
  known_broker(record.broker_id, record.broker_epoch).fenced = false;
}

void Replayer::apply(const RemoveTopicRecord& record) {
  const TopicId id = record.topic_id;
  const std::string name = open(id).topic.name;
  const bool was_there = image_.topic(id) != nullptr;
  open_.erase(id);
  image_.forming_.erase(id);
  if (was_there) {
    image_.topics_.erase(edit_, name);
    image_.topics_by_id_.erase(edit_, id);
    delta_.topics.insert(id);
    delta_.partitions.erase(id);
  }
  for (auto& [node, counts] : image_.index_.held) forget(counts, id);
  for (auto& [node, counts] : image_.index_.led) forget(counts, id);
  forget(image_.index_.not_preferred, id);
  forget(image_.index_.reassigning, id);
  for (auto* shifts : {&held_, &led_}) {
    for (auto& [node, shift] : *shifts) shift.erase(id);
  }
  not_preferred_.erase(id);
  reassigning_.erase(id);
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

Replayer::Open& Replayer::open(TopicId id) {
  const auto at = open_.find(id);
  if (at != open_.end()) return at->second;
  const TopicPtr known = image_.any_topic(id);
  CHECK(known != nullptr);
  return open_.emplace(id, Open{*known, image_.forming_.contains(id), false, {}}).first->second;
}

}  // namespace qlab::metadata
