#include "controller/quorum/topic_maker.h"

#include <algorithm>

#include "controller/quorum/partition_birth.h"

namespace qlab::controller {
namespace {

using metadata::Image;
using wire::KafkaError;

bool is_forming(const Image& image, const std::string& name) {
  return std::any_of(image.forming().begin(), image.forming().end(),
                     [&](const auto& entry) { return entry.second->name == name; });
}

}  // namespace

TopicMaker::TopicMaker(std::vector<NewTopic> topics, const ControllerOptions& options)
    : topics_(std::move(topics)), options_(options) {}

metadata::Records TopicMaker::next(const Image& image, std::size_t records_max, Prng& random) {
  metadata::Records records;
  std::size_t replicas = 0;
  const auto is_full = [&] { return records.size() >= records_max || replicas >= records_max; };
  // A topic that is refused costs time as well.
  for (std::size_t looked_at = 0; looked_at < records_max && !is_full();) {
    if (done()) break;
    const NewTopic& topic = topics_[position_];
    if (!current_) {
      ++looked_at;
      if (auto wrong = begin(image, topic, random)) {
        finish(topic, std::move(wrong));
        continue;
      }
      put_topic(topic, records);
    }
    while (current_->made < current_->partitions && !is_full()) {
      put_partition(image, topic, records);
      replicas += std::get<metadata::PartitionRecord>(records.back()).replicas.size();
    }
    if (current_->made == current_->partitions) finish(topic, std::nullopt);
  }
  return records;
}

std::optional<Refusal> TopicMaker::check(const Image& image, const NewTopic& topic) const {
  if (auto wrong = check_topic_name(topic.name)) return wrong;
  if (seen_.contains(topic.name)) {
    return Refusal{KafkaError::invalid_request,
                   fmt::format("topic '{}' is named twice in one request", topic.name)};
  }
  if (image.topic(topic.name) != nullptr || is_forming(image, topic.name)) {
    return Refusal{KafkaError::topic_already_exists, fmt::format("topic '{}' exists", topic.name)};
  }
  const std::int64_t wanted = topic.assignment.empty()
                                  ? topic.partitions
                                  : static_cast<std::int64_t>(topic.assignment.size());
  if (wanted == 0 || wanted < -1) {
    return Refusal{KafkaError::invalid_partitions,
                   fmt::format("number of partitions {} is less than 1", wanted)};
  }
  if (partitions_total_ + wanted > partitions_per_request_max) {
    return Refusal{KafkaError::policy_violation,
                   fmt::format("with {} partitions more the request makes more than it may, {}",
                               wanted, partitions_per_request_max)};
  }
  for (const auto& [key, value] : topic.configs) {
    if (auto wrong = check_topic_config(key, value)) return wrong;
  }
  return std::nullopt;
}

std::optional<Refusal> TopicMaker::begin(const Image& image, const NewTopic& topic, Prng& random) {
  auto wrong = check(image, topic);
  seen_.insert(topic.name);
  if (wrong) return wrong;

  Current current;
  if (!topic.assignment.empty()) {
    wrong =
        check_assignment(topic.assignment, [&](NodeId id) { return image.broker(id) != nullptr; });
    if (wrong) return wrong;
    current.partitions = static_cast<std::int32_t>(topic.assignment.size());
  } else {
    PlacementRequest& placement = current.placement;
    placement.brokers = active_brokers(image);
    placement.partitions = topic.partitions == -1 ? options_.num_partitions : topic.partitions;
    placement.replication_factor = topic.replication_factor == -1
                                       ? options_.default_replication_factor
                                       : topic.replication_factor;
    placement.start = random.next() % 1024;
    const auto placeable = check_placement(placement);
    if (!placeable) {
      return Refusal{KafkaError::invalid_replication_factor, placeable.error().context};
    }
    current.partitions = placement.partitions;
  }
  const std::uint64_t high = random.next();
  current.id = TopicId::from_random(high, random.next());
  partitions_total_ += current.partitions;
  current_ = std::move(current);
  return std::nullopt;
}

void TopicMaker::put_topic(const NewTopic& topic, metadata::Records& records) const {
  metadata::TopicRecord record;
  record.name = topic.name;
  record.topic_id = current_->id;
  record.partitions = current_->partitions;
  records.emplace_back(record);
  for (const auto& [key, value] : topic.configs) {
    metadata::ConfigRecord config;
    config.topic_id = current_->id;
    config.key = key;
    config.value = value.value_or("");
    records.emplace_back(config);
  }
}

void TopicMaker::put_partition(const Image& image, const NewTopic& topic,
                               metadata::Records& records) {
  const PartitionIndex index{current_->made};
  const auto position = static_cast<std::size_t>(current_->made++);
  auto replicas = topic.assignment.empty() ? place_partition(current_->placement, position)
                                           : topic.assignment[position];
  records.emplace_back(
      metadata::record_of(current_->id, index, new_partition(image, std::move(replicas))));
}

void TopicMaker::finish(const NewTopic& topic, std::optional<Refusal> wrong) {
  TopicOutcome outcome;
  outcome.name = topic.name;
  if (wrong) {
    outcome.error = wrong->error;
    outcome.message = std::move(wrong->message);
  } else {
    outcome.id = current_->id;
    outcome.partitions = current_->partitions;
    outcome.replication_factor = topic.assignment.empty()
                                     ? current_->placement.replication_factor
                                     : static_cast<std::int16_t>(topic.assignment.front().size());
  }
  outcomes_.push_back(std::move(outcome));
  current_.reset();
  ++position_;
}

}  // namespace qlab::controller
