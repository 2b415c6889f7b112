#include <algorithm>
#include <set>

#include "controller/config_rules.h"
#include "controller/quorum/decisions.h"

namespace qlab::controller {
namespace {

using metadata::Image;
using wire::KafkaError;

constexpr BrokerEpoch unknown_epoch{-1};

KafkaError check_alteration(const Image& image, NodeId leader, const PartitionAlteration& wanted,
                            const metadata::Partition* partition,
                            const ControllerOptions& options) {
  if (image.topic(wanted.topic_id) == nullptr) return KafkaError::unknown_topic_id;
  if (partition == nullptr) return KafkaError::unknown_topic_or_partition;
  if (wanted.claims_leadership && !options.groups_lead) return KafkaError::invalid_request;
  // It has heard of a later controller (KAFKA-14154).
  if (wanted.leader_epoch > partition->leader_epoch ||
      wanted.partition_epoch > partition->partition_epoch) {
    return KafkaError::not_controller;
  }
  if (wanted.leader_epoch < partition->leader_epoch) return KafkaError::fenced_leader_epoch;
  const bool may_lead = partition->leader == leader || wanted.claims_leadership;
  if (!may_lead) return KafkaError::invalid_request;
  if (wanted.partition_epoch < partition->partition_epoch) {
    return KafkaError::invalid_update_version;
  }

  const std::vector<BrokerEpoch>& epochs = wanted.isr_epochs;
  if (!epochs.empty() && epochs.size() != wanted.new_isr.size()) return KafkaError::invalid_request;

  const std::set<NodeId> isr(wanted.new_isr.begin(), wanted.new_isr.end());
  if (isr.size() != wanted.new_isr.size() || !isr.contains(leader))
    return KafkaError::invalid_request;
  const std::set<NodeId> replicas(partition->replicas.begin(), partition->replicas.end());
  if (!std::includes(replicas.begin(), replicas.end(), isr.begin(), isr.end())) {
    return KafkaError::invalid_request;
  }
  for (std::size_t m = 0; m < wanted.new_isr.size(); ++m) {
    // KIP-841: a fenced broker or one that shuts down may not come into the ISR, and may not stay.
    const NodeId member = wanted.new_isr[m];
    if (!image.is_active(member)) return KafkaError::ineligible_replica;
    // KIP-903: nor may one that has restarted since the leader heard of it.
    const BrokerEpoch epoch = epochs.empty() ? unknown_epoch : epochs[m];
    if (epoch != unknown_epoch && epoch != image.broker(member)->epoch) {
      return KafkaError::ineligible_replica;
    }
  }
  return KafkaError::none;
}

}  // namespace

Decision<std::vector<AlterationOutcome>> decide_alterations(const Image& image,
                                                            const AlterPartition& request,
                                                            const ControllerOptions& options) {
  std::set<std::pair<TopicId, PartitionIndex>> seen;
  Decision<std::vector<AlterationOutcome>> decision;
  for (const PartitionAlteration& wanted : request.partitions) {
    AlterationOutcome outcome;
    outcome.topic_id = wanted.topic_id;
    outcome.partition = wanted.partition;
    const metadata::Partition* partition = image.partition(wanted.topic_id, wanted.partition);
    outcome.error = check_alteration(image, request.broker, wanted, partition, options);
    // The second word about a partition is based on what the first has changed.
    if (outcome.error == KafkaError::none &&
        !seen.emplace(wanted.topic_id, wanted.partition).second) {
      outcome.error = KafkaError::invalid_update_version;
    }
    if (outcome.error == KafkaError::none) {
      const metadata::TopicPtr topic = image.topic(wanted.topic_id);
      const ElectionRules rules = rules_of(image, *topic, options);
      Partition after = wanted.claims_leadership
                            ? with_claim(*partition, request.broker, wanted.new_isr, rules)
                            : with_isr(*partition, wanted.new_isr, rules);
      auto change = metadata::change_between(topic->id, wanted.partition, *partition, after);
      if (change) {
        after = metadata::changed(*partition, *change);
        decision.records.emplace_back(std::move(*change));
      }
      outcome.leader = after.leader;
      outcome.leader_epoch = after.leader_epoch;
      outcome.partition_epoch = after.partition_epoch;
      outcome.isr = after.isr;
      const bool is_led_on = after.leader == partition->leader || after.leader == request.broker;
      if (!is_led_on) outcome.error = KafkaError::new_leader_elected;
    }
    decision.answer.push_back(std::move(outcome));
  }
  return decision;
}

}  // namespace qlab::controller
