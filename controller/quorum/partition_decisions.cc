#include <algorithm>
#include <set>

#include "controller/quorum/decisions.h"

namespace qlab::controller {
namespace {

using metadata::Image;
using wire::KafkaError;

KafkaError check_alteration(const Image& image, NodeId leader, const PartitionAlteration& wanted,
                            const metadata::Partition* partition) {
  if (image.topic(wanted.topic_id) == nullptr) return KafkaError::unknown_topic_id;
  if (partition == nullptr) return KafkaError::unknown_topic_or_partition;
  if (partition->leader != leader || wanted.leader_epoch < partition->leader_epoch) {
    return KafkaError::fenced_leader_epoch;
  }
  if (wanted.leader_epoch > partition->leader_epoch) return KafkaError::not_controller;
  if (wanted.partition_epoch != partition->partition_epoch)
    return KafkaError::invalid_update_version;

  const std::set<NodeId> isr(wanted.new_isr.begin(), wanted.new_isr.end());
  if (isr.size() != wanted.new_isr.size() || !isr.contains(leader))
    return KafkaError::invalid_request;
  const std::set<NodeId> replicas(partition->replicas.begin(), partition->replicas.end());
  if (!std::includes(replicas.begin(), replicas.end(), isr.begin(), isr.end())) {
    return KafkaError::invalid_request;
  }
  for (NodeId member : isr) {
    // KIP-841: a fenced broker or one that shuts down may not come into the ISR, and may not stay.
    if (!image.is_active(member)) return KafkaError::ineligible_replica;
  }
  return KafkaError::none;
}

}  // namespace

Decision<std::vector<AlterationOutcome>> decide_alterations(const Image& image,
                                                            const AlterPartition& request) {
  Decision<std::vector<AlterationOutcome>> decision;
  for (const PartitionAlteration& wanted : request.partitions) {
    AlterationOutcome outcome;
    outcome.topic_id = wanted.topic_id;
    outcome.partition = wanted.partition;
    const metadata::Partition* partition = image.partition(wanted.topic_id, wanted.partition);
    outcome.error = check_alteration(image, request.broker, wanted, partition);
    if (outcome.error == KafkaError::none) {
      metadata::PartitionChangeRecord record;
      record.topic_id = wanted.topic_id;
      record.partition = wanted.partition;
      record.isr = wanted.new_isr;
      decision.records.emplace_back(record);
      outcome.leader = partition->leader;
      outcome.leader_epoch = partition->leader_epoch;
      outcome.partition_epoch = partition->partition_epoch + 1;
      outcome.isr = wanted.new_isr;
    }
    decision.answer.push_back(std::move(outcome));
  }
  return decision;
}

}  // namespace qlab::controller
