// Calls of administration on the active zk controller, as events.
//
// Source: Kafka 3.9, KafkaController.processReplicaLeaderElection (KIP-460),
// ZkAdminManager.createPartitions (KIP-195).

#include <algorithm>
#include <set>

#include "controller/administer.h"
#include "controller/placement.h"
#include "controller/zk/reign.h"

namespace qlab::controller {

using wire::KafkaError;

namespace {

constexpr std::int8_t preferred_election = 0;
constexpr std::int8_t unclean_election = 1;

}  // namespace

Task<Result<Bytes>> Reign::administer(wire::ApiKey api, Bytes request) {
  switch (api) {
    case wire::ApiKey::elect_leaders: {
      CO_TRY(auto message, decode_newest<wire::ElectLeadersRequest>(request));
      CO_TRY(const auto response, co_await elect_leaders(std::move(message)));
      co_return encode_newest(response);
    }
    case wire::ApiKey::alter_partition_reassignments: {
      CO_TRY(auto message, decode_newest<wire::AlterPartitionReassignmentsRequest>(request));
      CO_TRY(const auto response, co_await reassign(std::move(message)));
      co_return encode_newest(response);
    }
    case wire::ApiKey::list_partition_reassignments: {
      CO_TRY(const auto message, decode_newest<wire::ListPartitionReassignmentsRequest>(request));
      co_return encode_newest(list_moves(message));
    }
    case wire::ApiKey::create_partitions: {
      CO_TRY(auto message, decode_newest<wire::CreatePartitionsRequest>(request));
      CO_TRY(const auto response, co_await create_partitions(std::move(message)));
      co_return encode_newest(response);
    }
    case wire::ApiKey::alter_configs: {
      CO_TRY(auto message, decode_newest<wire::AlterConfigsRequest>(request));
      CO_TRY(const auto response, co_await alter_configs(std::move(message)));
      co_return encode_newest(response);
    }
    case wire::ApiKey::incremental_alter_configs: {
      CO_TRY(auto message, decode_newest<wire::IncrementalAlterConfigsRequest>(request));
      CO_TRY(const auto response, co_await alter_configs(std::move(message)));
      co_return encode_newest(response);
    }
    default:
      co_return fail(Errc::unsupported, "controller call {} is unknown", static_cast<int>(api));
  }
}

std::optional<PartitionRef> Reign::find(const std::string& topic, PartitionIndex index) {
  ZkTopic* const found = context_.topic(topic);
  const bool exists = found != nullptr && !found->to_be_deleted && index.value() >= 0 &&
                      static_cast<std::size_t>(index.value()) < found->partitions.size();
  if (!exists) return std::nullopt;
  return PartitionRef{found, index};
}

// Why no election of that kind is held, if so.
std::optional<Refusal> Reign::check_election(PartitionRef ref, bool unclean) const {
  const Partition now = context_.partition_of(ref);
  const bool has_leader = now.leader != no_node && context_.is_live(now.leader);
  if (unclean && has_leader) {
    return Refusal{KafkaError::election_not_needed, "there is a leader"};
  }
  if (!unclean && now.leader == now.replicas.front()) {
    return Refusal{KafkaError::election_not_needed, "the preferred replica leads"};
  }
  if (elected(now, unclean ? Election::unclean : Election::preferred, unclean)) {
    return std::nullopt;
  }
  if (unclean) return Refusal{KafkaError::eligible_leaders_not_available, "no replica is up"};
  return Refusal{KafkaError::preferred_leader_not_available,
                 "the preferred replica is not in sync or not up"};
}

Task<Result<wire::ElectLeadersResponse>> Reign::elect_leaders(wire::ElectLeadersRequest request) {
  wire::ElectLeadersResponse response;
  const bool unclean = request.election_type == unclean_election;
  if (!unclean && request.election_type != preferred_election) {
    response.error_code = KafkaError::invalid_request;
    co_return response;
  }
  std::set<PartitionRef> chosen;
  const auto judge = [&](const std::string& name, PartitionIndex index) {
    wire::ElectLeadersResponse::Partition answer;
    answer.partition_id = index;
    const auto ref = find(name, index);
    std::optional<Refusal> wrong;
    if (!ref || !ref->get().has_state()) {
      wrong = Refusal{KafkaError::unknown_topic_or_partition, "there is no such partition"};
    } else {
      wrong = check_election(*ref, unclean);
    }
    if (!wrong && !chosen.insert(*ref).second) {
      wrong = Refusal{KafkaError::invalid_request, "the partition is named twice"};
    }
    if (wrong) {
      answer.error_code = wrong->error;
      answer.error_message = std::move(wrong->message);
    }
    return answer;
  };
  const auto add = [&](const std::string& name, const std::vector<PartitionIndex>& indexes,
                       bool only_elected) {
    wire::ElectLeadersResponse::Topic answer;
    answer.topic = name;
    for (const PartitionIndex index : indexes) {
      auto one = judge(name, index);
      if (only_elected && one.error_code != KafkaError::none) continue;
      answer.partition_result.push_back(std::move(one));
    }
    if (only_elected && answer.partition_result.empty()) return;
    response.replica_election_results.push_back(std::move(answer));
  };
  if (request.topic_partitions) {
    for (const auto& topic : *request.topic_partitions) add(topic.topic, topic.partitions, false);
  } else {
    for (auto& [name, topic] : context_.topics()) {
      std::vector<PartitionIndex> all;
      for (const PartitionRef ref : context_.partitions_of(topic)) all.push_back(ref.index);
      add(name, all, true);
    }
  }
  Partitions partitions(chosen.begin(), chosen.end());
  CO_TRY_VOID(co_await to_online(partitions, unclean ? Election::unclean : Election::preferred));
  co_return response;
}

std::optional<Refusal> Reign::plan_growth(const wire::CreatePartitionsRequest::Topic& wanted,
                                          znodes::TopicValue& value) {
  ZkTopic* const topic = context_.topic(wanted.name);
  if (topic == nullptr || topic->to_be_deleted) {
    return Refusal{KafkaError::unknown_topic_or_partition,
                   fmt::format("topic '{}' does not exist", wanted.name)};
  }
  if (!topic->moves.empty()) {
    return Refusal{KafkaError::reassignment_in_progress,
                   fmt::format("topic '{}' is being reassigned", wanted.name)};
  }
  value = value_of(*topic);
  const auto before = static_cast<std::int64_t>(value.replicas.size());
  const std::int64_t more = wanted.count - before;
  if (more <= 0) {
    return Refusal{KafkaError::invalid_partitions,
                   fmt::format("topic '{}' has {} partitions, and {} is not more", topic->name,
                               before, wanted.count)};
  }
  const std::size_t factor = value.replicas.front().size();
  std::vector<std::vector<NodeId>> added;
  if (wanted.assignments) {
    for (const auto& one : *wanted.assignments) added.push_back(one.broker_ids);
    if (static_cast<std::int64_t>(added.size()) != more || added.front().size() != factor) {
      return Refusal{KafkaError::invalid_replica_assignment,
                     fmt::format("{} assignments for {} new partitions of {} replicas each",
                                 added.size(), more, factor)};
    }
    auto wrong = check_assignment(added, [&](NodeId id) { return context_.is_live(id); });
    if (wrong) return wrong;
  } else {
    PlacementRequest placement;
    placement.brokers = eligible_brokers();
    placement.partitions = static_cast<std::int32_t>(more);
    placement.replication_factor = static_cast<std::int16_t>(factor);
    placement.start = runtime_.random().next() % 1024;
    auto placed = place(placement);
    if (!placed) {
      return Refusal{KafkaError::invalid_replication_factor, placed.error().context};
    }
    added = std::move(*placed);
  }
  value.replicas.insert(value.replicas.end(), added.begin(), added.end());
  return check_size(topic->name, znodes::topic_value(value).size());
}

Task<Result<wire::CreatePartitionsResponse>> Reign::create_partitions(
    wire::CreatePartitionsRequest request) {
  wire::CreatePartitionsResponse response;
  std::set<std::string> seen;
  std::vector<std::pair<ZkTopic*, znodes::TopicValue>> growing;
  for (const auto& wanted : request.topics) {
    auto& answer = response.results.emplace_back();
    answer.name = wanted.name;
    znodes::TopicValue value;
    std::optional<Refusal> wrong;
    if (!seen.insert(wanted.name).second) {
      wrong = Refusal{KafkaError::invalid_request,
                      fmt::format("topic '{}' is named twice in one request", wanted.name)};
    } else {
      wrong = plan_growth(wanted, value);
    }
    if (wrong) {
      answer.error_code = wrong->error;
      answer.error_message = std::move(wrong->message);
    } else {
      growing.emplace_back(context_.topic(wanted.name), std::move(value));
    }
  }
  if (request.validate_only) co_return response;
  CO_TRY_VOID(co_await write_topics(growing));
  Partitions added;
  for (const auto& [topic, value] : growing) {
    // The watch tells as well, of what is known by then.
    const Partitions fresh = context_.extend(*topic, value, topic->version);
    added.insert(added.end(), fresh.begin(), fresh.end());
  }
  CO_TRY_VOID(co_await on_new_partitions(std::move(added)));
  co_return response;
}

}  // namespace qlab::controller
