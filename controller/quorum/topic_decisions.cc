#include <set>

#include "controller/placement.h"
#include "controller/quorum/decisions.h"
#include "controller/topic_rules.h"

namespace qlab::controller {
namespace {

using metadata::Image;
using wire::KafkaError;

TopicOutcome refused(const NewTopic& topic, Refusal refusal) {
  TopicOutcome outcome;
  outcome.name = topic.name;
  outcome.error = refusal.error;
  outcome.message = std::move(refusal.message);
  return outcome;
}

std::vector<NodeId> active_brokers(const Image& image) {
  std::vector<NodeId> brokers;
  for (const auto& [id, broker] : image.brokers()) {
    if (broker.is_active()) brokers.push_back(id);
  }
  return brokers;
}

using Assignment = std::vector<std::vector<NodeId>>;

// The topic's own assignment, checked, or one that we make.
tl::expected<Assignment, Refusal> assign(const Image& image, const NewTopic& topic,
                                         const ControllerOptions& options, Prng& random) {
  if (!topic.assignment.empty()) {
    const auto wrong =
        check_assignment(topic.assignment, [&](NodeId id) { return image.broker(id) != nullptr; });
    if (wrong) return tl::unexpected(*wrong);
    return topic.assignment;
  }
  PlacementRequest request;
  request.brokers = active_brokers(image);
  request.partitions = topic.partitions == -1 ? options.num_partitions : topic.partitions;
  request.replication_factor = topic.replication_factor == -1 ? options.default_replication_factor
                                                              : topic.replication_factor;
  request.start = random.next() % 1024;
  auto placed = place(request);
  if (placed) return std::move(*placed);
  const KafkaError error = request.partitions < 1 ? KafkaError::invalid_partitions
                                                  : KafkaError::invalid_replication_factor;
  return tl::unexpected(Refusal{error, placed.error().context});
}

std::optional<Refusal> check(const Image& image, const NewTopic& topic,
                             const std::set<std::string>& in_request) {
  if (auto wrong = check_topic_name(topic.name)) return wrong;
  if (in_request.contains(topic.name)) {
    return Refusal{KafkaError::invalid_request,
                   fmt::format("topic '{}' is named twice in one request", topic.name)};
  }
  if (image.topic(topic.name) != nullptr) {
    return Refusal{KafkaError::topic_already_exists, fmt::format("topic '{}' exists", topic.name)};
  }
  const std::int64_t wanted = topic.assignment.empty()
                                  ? topic.partitions
                                  : static_cast<std::int64_t>(topic.assignment.size());
  if (wanted == 0 || wanted < -1) {
    return Refusal{KafkaError::invalid_partitions,
                   fmt::format("number of partitions {} is less than 1", wanted)};
  }
  if (wanted > static_cast<std::int64_t>(records_per_request_max)) {
    return Refusal{KafkaError::policy_violation,
                   fmt::format("number of partitions {} is more than one request may make, {}",
                               wanted, records_per_request_max)};
  }
  for (const auto& [key, value] : topic.configs) {
    if (auto wrong = check_topic_config(key, value)) return wrong;
  }
  return std::nullopt;
}

void add_records(const Image& image, const NewTopic& topic, const TopicOutcome& outcome,
                 const Assignment& assignment, metadata::Records& records) {
  metadata::TopicRecord record;
  record.name = topic.name;
  record.topic_id = outcome.id;
  records.emplace_back(record);
  for (std::size_t p = 0; p < assignment.size(); ++p) {
    metadata::PartitionRecord partition;
    partition.topic_id = outcome.id;
    partition.partition = PartitionIndex{static_cast<std::int32_t>(p)};
    partition.replicas = assignment[p];
    // In sync from birth are those that are up; an empty log is as good as any other empty log.
    for (NodeId replica : assignment[p]) {
      if (image.is_active(replica)) partition.isr.push_back(replica);
    }
    if (partition.isr.empty()) partition.isr.push_back(assignment[p].front());
    partition.leader = image.is_active(partition.isr.front()) ? partition.isr.front() : no_node;
    records.emplace_back(partition);
  }
  for (const auto& [key, value] : topic.configs) {
    metadata::ConfigRecord config;
    config.topic_id = outcome.id;
    config.key = key;
    config.value = value.value_or("");
    records.emplace_back(config);
  }
}

}  // namespace

Decision<std::vector<TopicOutcome>> decide_topics(const Image& image,
                                                  const std::vector<NewTopic>& topics,
                                                  const ControllerOptions& options, Prng& random) {
  Decision<std::vector<TopicOutcome>> decision;
  std::set<std::string> seen;
  for (const NewTopic& topic : topics) {
    auto wrong = check(image, topic, seen);
    seen.insert(topic.name);
    if (wrong) {
      decision.answer.push_back(refused(topic, *wrong));
      continue;
    }
    auto assignment = assign(image, topic, options, random);
    if (!assignment) {
      decision.answer.push_back(refused(topic, assignment.error()));
      continue;
    }
    if (decision.records.size() + assignment->size() + 1 > records_per_request_max) {
      decision.answer.push_back(refused(
          topic,
          {KafkaError::policy_violation,
           fmt::format("the request makes more than {} records; create fewer partitions at a time",
                       records_per_request_max)}));
      continue;
    }
    TopicOutcome outcome;
    outcome.name = topic.name;
    outcome.id = TopicId::from_random(random.next(), random.next());
    outcome.partitions = static_cast<std::int32_t>(assignment->size());
    outcome.replication_factor = static_cast<std::int16_t>(assignment->front().size());
    add_records(image, topic, outcome, *assignment, decision.records);
    decision.answer.push_back(std::move(outcome));
  }
  return decision;
}

Decision<std::vector<TopicOutcome>> decide_removal(const Image& image,
                                                   const std::vector<std::string>& names) {
  Decision<std::vector<TopicOutcome>> decision;
  std::set<std::string> seen;
  for (const std::string& name : names) {
    TopicOutcome outcome;
    outcome.name = name;
    const metadata::TopicPtr topic = image.topic(name);
    if (topic == nullptr || !seen.insert(name).second) {
      outcome.error = KafkaError::unknown_topic_or_partition;
      outcome.message = fmt::format("topic '{}' does not exist", name);
    } else {
      outcome.id = topic->id;
      metadata::RemoveTopicRecord record;
      record.topic_id = topic->id;
      decision.records.emplace_back(record);
    }
    decision.answer.push_back(std::move(outcome));
  }
  return decision;
}

}  // namespace qlab::controller
