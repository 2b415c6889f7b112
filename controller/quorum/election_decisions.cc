#include <algorithm>
#include <set>

#include "controller/config_rules.h"
#include "controller/quorum/admin_decisions.h"

namespace qlab::controller {
namespace {

using metadata::Image;
using metadata::Topic;
using wire::ElectLeadersRequest;
using wire::ElectLeadersResponse;
using wire::KafkaError;

constexpr std::int8_t unclean_election = 1;

struct Elected {
  Partition after;
  KafkaError error = KafkaError::none;
  std::string_view words = {};
};

Elected elect_preferred(const Partition& partition, const ElectionRules& rules) {
  if (partition.leader == partition.replicas.front()) {
    return {partition, KafkaError::election_not_needed, "the preferred replica leads"};
  }
  const auto after = with_preferred_leader(partition, rules);
  if (after) return {*after};
  return {partition, KafkaError::preferred_leader_not_available,
          "the preferred replica is not in sync or not up"};
}

Elected elect_any(const Partition& partition, ElectionRules rules) {
  if (partition.leader != no_node) {
    return {partition, KafkaError::election_not_needed, "there is a leader"};
  }
  rules.unclean = true;
  Partition after = with_leader(partition, rules);
  if (after.leader != no_node) return {std::move(after)};
  return {partition, KafkaError::eligible_leaders_not_available, "no replica is up"};
}

class Elections {
 public:
  Elections(const Image& image, const ElectLeadersRequest& request,
            const ControllerOptions& options)
      : image_(image), is_unclean_(request.election_type == unclean_election), options_(options) {}

  Elected decide(const Topic& topic, std::size_t partition) const {
    const ElectionRules rules = rules_of(image_, topic, options_);
    const Partition& before = *topic.partitions[partition];
    return is_unclean_ ? elect_any(before, rules) : elect_preferred(before, rules);
  }

  ElectLeadersResponse::Partition named(const std::string& name, PartitionIndex index) {
    ElectLeadersResponse::Partition answer;
    answer.partition_id = index;
    const metadata::TopicPtr topic = image_.topic(name);
    const auto position = static_cast<std::size_t>(index.value());
    if (topic == nullptr || index.value() < 0 || position >= topic->partitions.size()) {
      answer.error_code = KafkaError::unknown_topic_or_partition;
      answer.error_message = fmt::format("there is no partition {}-{}", name, index);
      return answer;
    }
    if (!seen_.emplace(topic->id, index).second) {
      answer.error_code = KafkaError::invalid_request;
      answer.error_message = fmt::format("partition {}-{} is named twice", name, index);
      return answer;
    }
    if (records.size() >= records_per_request_max) {
      answer.error_code = KafkaError::policy_violation;
      answer.error_message = "the request makes too many elections";
      return answer;
    }
    take(*topic, position, decide(*topic, position), answer);
    return answer;
  }

  void take(const Topic& topic, std::size_t position, const Elected& elected,
            ElectLeadersResponse::Partition& answer) {
    answer.error_code = elected.error;
    if (elected.error != KafkaError::none) {
      answer.error_message = std::string(elected.words);
      return;
    }
    const PartitionIndex index{static_cast<std::int32_t>(position)};
    auto change =
        metadata::change_between(topic.id, index, *topic.partitions[position], elected.after);
    if (change) records.emplace_back(std::move(*change));
  }

  // All that need one and can have one, up to an entry's worth.
  void all(ElectLeadersResponse& response) {
    const auto& index = image_.index();
    const auto leaderless = index.led.find(no_node);
    if (is_unclean_ && leaderless == index.led.end()) return;
    const metadata::TopicCounts& counts = is_unclean_ ? leaderless->second : index.not_preferred;
    counts.topics.for_each([&](const TopicId& id, std::uint32_t) {
      const metadata::TopicPtr topic = image_.topic(id);
      if (topic == nullptr) return;
      ElectLeadersResponse::Topic answer;
      answer.topic = topic->name;
      for (std::size_t p = 0; p < topic->partitions.size(); ++p) {
        if (records.size() >= options_.records_per_entry) break;
        const Elected elected = decide(*topic, p);
        if (elected.error != KafkaError::none) continue;
        ElectLeadersResponse::Partition one;
        one.partition_id = PartitionIndex{static_cast<std::int32_t>(p)};
        take(*topic, p, elected, one);
        answer.partition_result.push_back(std::move(one));
      }
      if (!answer.partition_result.empty()) {
        response.replica_election_results.push_back(std::move(answer));
      }
    });
  }

  metadata::Records records;

 private:
  const Image& image_;
  const bool is_unclean_;
  const ControllerOptions& options_;
  std::set<std::pair<TopicId, PartitionIndex>> seen_;
};

}  // namespace

Decision<ElectLeadersResponse> decide_elections(const Image& image,
                                                const ElectLeadersRequest& request,
                                                const ControllerOptions& options) {
  Decision<ElectLeadersResponse> decision;
  if (request.election_type != 0 && request.election_type != unclean_election) {
    decision.answer.error_code = KafkaError::invalid_request;
    return decision;
  }
  Elections elections(image, request, options);
  if (!request.topic_partitions) {
    elections.all(decision.answer);
  } else {
    for (const auto& topic : *request.topic_partitions) {
      ElectLeadersResponse::Topic answer;
      answer.topic = topic.topic;
      for (PartitionIndex index : topic.partitions) {
        answer.partition_result.push_back(elections.named(topic.topic, index));
      }
      decision.answer.replica_election_results.push_back(std::move(answer));
    }
  }
  decision.records = std::move(elections.records);
  return decision;
}

}  // namespace qlab::controller
