#include <algorithm>
#include <set>

#include "controller/config_rules.h"
#include "controller/placement.h"
#include "controller/quorum/admin_decisions.h"
#include "controller/quorum/partition_birth.h"
#include "controller/reassignment.h"

namespace qlab::controller {
namespace {

using metadata::Image;
using metadata::Topic;
using wire::AlterPartitionReassignmentsRequest;
using wire::AlterPartitionReassignmentsResponse;
using wire::CreatePartitionsRequest;
using wire::CreatePartitionsResponse;
using wire::KafkaError;
using wire::ListPartitionReassignmentsRequest;
using wire::ListPartitionReassignmentsResponse;

tl::unexpected<Refusal> refuse(KafkaError error, std::string words) {
  return tl::unexpected(Refusal{error, std::move(words)});
}

Reassigned decide_move(const Image& image, const Topic& topic, std::size_t position,
                       const std::optional<std::vector<NodeId>>& target,
                       const ControllerOptions& options) {
  const ElectionRules rules = rules_of(image, topic, options);
  const Partition& before = *topic.partitions[position];
  if (!target) return cancelled(before, rules);
  const Eligible known = [&](NodeId node) { return image.broker(node) != nullptr; };
  return reassigned(before, *target, known, rules);
}

ListPartitionReassignmentsResponse::Partition describe(PartitionIndex index,
                                                       const Partition& partition) {
  ListPartitionReassignmentsResponse::Partition answer;
  answer.partition_index = index;
  answer.replicas = partition.replicas;
  answer.adding_replicas = partition.adding;
  answer.removing_replicas = partition.removing;
  return answer;
}

// The replicas of the partitions that a topic is to get more.
tl::expected<std::vector<std::vector<NodeId>>, Refusal> place_more(
    const Image& image, const Topic& topic, const CreatePartitionsRequest::Topic& wanted,
    std::size_t room, Prng& random) {
  const auto before = static_cast<std::int64_t>(topic.partitions.size());
  const std::int64_t more = wanted.count - before;
  if (more <= 0) {
    return refuse(KafkaError::invalid_partitions,
                  fmt::format("topic '{}' has {} partitions, and {} is not more", topic.name,
                              before, wanted.count));
  }
  if (more > static_cast<std::int64_t>(room)) {
    return refuse(
        KafkaError::policy_violation,
        fmt::format("{} partitions are more than this request may still make, {}", more, room));
  }
  const std::size_t factor = topic.partitions.front()->replicas.size();
  if (wanted.assignments) {
    std::vector<std::vector<NodeId>> assignment;
    for (const auto& one : *wanted.assignments) assignment.push_back(one.broker_ids);
    if (static_cast<std::int64_t>(assignment.size()) != more) {
      return refuse(KafkaError::invalid_replica_assignment,
                    fmt::format("{} assignments for {} new partitions", assignment.size(), more));
    }
    const auto wrong =
        check_assignment(assignment, [&](NodeId id) { return image.broker(id) != nullptr; });
    if (wrong) return tl::unexpected(*wrong);
    if (assignment.front().size() != factor) {
      return refuse(
          KafkaError::invalid_replica_assignment,
          fmt::format("{} replicas, where the topic has {}", assignment.front().size(), factor));
    }
    return assignment;
  }
  PlacementRequest request;
  request.brokers = active_brokers(image);
  request.partitions = static_cast<std::int32_t>(more);
  request.replication_factor = static_cast<std::int16_t>(factor);
  request.start = random.next() % 1024;
  auto placed = place(request);
  if (!placed) return refuse(KafkaError::invalid_replication_factor, placed.error().context);
  return std::move(*placed);
}

}  // namespace

Decision<AlterPartitionReassignmentsResponse> decide_reassignments(
    const Image& image, const AlterPartitionReassignmentsRequest& request,
    const ControllerOptions& options) {
  Decision<AlterPartitionReassignmentsResponse> decision;
  std::set<std::pair<TopicId, PartitionIndex>> seen;
  const auto decide = [&](const metadata::TopicPtr& topic, const auto& wanted) -> Refusal {
    const auto position = static_cast<std::size_t>(wanted.partition_index.value());
    if (topic == nullptr || wanted.partition_index.value() < 0 ||
        position >= topic->partitions.size()) {
      return {KafkaError::unknown_topic_or_partition, "there is no such partition"};
    }
    if (options.groups_lead) {
      return {KafkaError::invalid_request,
              "unsupported: with replicator=consensus a partition's replicas stay as they are"};
    }
    if (!seen.emplace(topic->id, wanted.partition_index).second) {
      return {KafkaError::invalid_request, "the partition is named twice"};
    }
    if (decision.records.size() >= records_per_request_max) {
      return {KafkaError::policy_violation, "the request moves too many partitions"};
    }
    const Reassigned after = decide_move(image, *topic, position, wanted.replicas, options);
    if (!after) return after.error();
    auto change = metadata::change_between(topic->id, wanted.partition_index,
                                           *topic->partitions[position], *after);
    if (change) decision.records.emplace_back(std::move(*change));
    return {};
  };
  for (const auto& topic : request.topics) {
    AlterPartitionReassignmentsResponse::Topic answer;
    answer.name = topic.name;
    for (const auto& wanted : topic.partitions) {
      AlterPartitionReassignmentsResponse::Partition one;
      one.partition_index = wanted.partition_index;
      Refusal wrong = decide(image.topic(topic.name), wanted);
      one.error_code = wrong.error;
      if (wrong.error != KafkaError::none) one.error_message = std::move(wrong.message);
      answer.partitions.push_back(std::move(one));
    }
    decision.answer.responses.push_back(std::move(answer));
  }
  return decision;
}

ListPartitionReassignmentsResponse list_reassignments(
    const Image& image, const ListPartitionReassignmentsRequest& request) {
  ListPartitionReassignmentsResponse response;
  const auto add = [&](const Topic& topic, const std::vector<PartitionIndex>* only) {
    ListPartitionReassignmentsResponse::Topic answer;
    answer.name = topic.name;
    for (std::size_t p = 0; p < topic.partitions.size(); ++p) {
      const PartitionIndex index{static_cast<std::int32_t>(p)};
      const bool wanted =
          only == nullptr || std::find(only->begin(), only->end(), index) != only->end();
      if (!wanted || !topic.partitions[p]->is_reassigning()) continue;
      answer.partitions.push_back(describe(index, *topic.partitions[p]));
    }
    if (!answer.partitions.empty()) response.topics.push_back(std::move(answer));
  };
  if (!request.topics) {
    image.index().reassigning.topics.for_each([&](const TopicId& id, std::uint32_t) {
      const metadata::TopicPtr topic = image.topic(id);
      if (topic != nullptr) add(*topic, nullptr);
    });
    return response;
  }
  for (const auto& wanted : *request.topics) {
    const metadata::TopicPtr topic = image.topic(wanted.name);
    if (topic != nullptr) add(*topic, &wanted.partition_indexes);
  }
  return response;
}

Decision<CreatePartitionsResponse> decide_growth(const Image& image,
                                                 const CreatePartitionsRequest& request,
                                                 Prng& random) {
  Decision<CreatePartitionsResponse> decision;
  std::set<std::string> seen;
  const auto decide = [&](const CreatePartitionsRequest::Topic& wanted) -> Refusal {
    const metadata::TopicPtr topic = image.topic(wanted.name);
    if (topic == nullptr) {
      return {KafkaError::unknown_topic_or_partition,
              fmt::format("topic '{}' does not exist", wanted.name)};
    }
    if (!seen.insert(wanted.name).second) {
      return {KafkaError::invalid_request,
              fmt::format("topic '{}' is named twice in one request", wanted.name)};
    }
    const std::size_t room =
        records_per_request_max - std::min(decision.records.size(), records_per_request_max);
    auto placed = place_more(image, *topic, wanted, room, random);
    if (!placed) return placed.error();
    auto next = static_cast<std::int32_t>(topic->partitions.size());
    for (std::vector<NodeId>& replicas : *placed) {
      decision.records.emplace_back(metadata::record_of(topic->id, PartitionIndex{next++},
                                                        new_partition(image, std::move(replicas))));
    }
    return {};
  };
  for (const auto& wanted : request.topics) {
    CreatePartitionsResponse::Result answer;
    answer.name = wanted.name;
    Refusal wrong = decide(wanted);
    answer.error_code = wrong.error;
    if (wrong.error != KafkaError::none) answer.error_message = std::move(wrong.message);
    decision.answer.results.push_back(std::move(answer));
  }
  if (request.validate_only) decision.records.clear();
  return decision;
}

}  // namespace qlab::controller
