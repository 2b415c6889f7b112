#include "metadata/partition.h"

#include <algorithm>

#include "common/check.h"

namespace qlab::metadata {
namespace {

constexpr NodeId unchanged{-2};

bool is_within(const std::vector<NodeId>& part, const std::vector<NodeId>& whole) {
  return std::all_of(part.begin(), part.end(), [&](NodeId node) {
    return std::find(whole.begin(), whole.end(), node) != whole.end();
  });
}

void check(const Partition& partition) {
  CHECK(!partition.replicas.empty());
  CHECK(!partition.isr.empty());
  CHECK(is_within(partition.isr, partition.replicas));
  CHECK(is_within(partition.elr, partition.replicas));
  CHECK(is_within(partition.adding, partition.replicas));
  CHECK(is_within(partition.removing, partition.replicas));
  CHECK(partition.leader == no_node || is_within({partition.leader}, partition.isr));
}

}  // namespace

PartitionRecord record_of(TopicId topic, PartitionIndex index, const Partition& partition) {
  PartitionRecord record;
  record.topic_id = topic;
  record.partition = index;
  record.replicas = partition.replicas;
  record.isr = partition.isr;
  record.leader = partition.leader;
  record.leader_epoch = partition.leader_epoch;
  record.partition_epoch = partition.partition_epoch;
  record.elr = partition.elr;
  record.adding = partition.adding;
  record.removing = partition.removing;
  record.last_known_leader = partition.last_known_leader;
  record.recovering = partition.recovering;
  return record;
}

Partition partition_of(const PartitionRecord& record) {
  Partition partition;
  partition.replicas = record.replicas;
  partition.isr = record.isr;
  partition.leader = record.leader;
  partition.leader_epoch = record.leader_epoch;
  partition.partition_epoch = record.partition_epoch;
  partition.elr = record.elr;
  partition.adding = record.adding;
  partition.removing = record.removing;
  partition.last_known_leader = record.last_known_leader;
  partition.recovering = record.recovering;
  check(partition);
  return partition;
}

std::optional<PartitionChangeRecord> change_between(TopicId topic, PartitionIndex index,
                                                    const Partition& before,
                                                    const Partition& after) {
  Partition same_epochs = after;
  same_epochs.leader_epoch = before.leader_epoch;
  same_epochs.partition_epoch = before.partition_epoch;
  if (same_epochs == before) return std::nullopt;

  PartitionChangeRecord record;
  record.topic_id = topic;
  record.partition = index;
  if (after.isr != before.isr) record.isr = after.isr;
  if (after.replicas != before.replicas) record.replicas = after.replicas;
  if (after.adding != before.adding) record.adding = after.adding;
  if (after.removing != before.removing) record.removing = after.removing;
  if (after.elr != before.elr) record.elr = after.elr;
  const bool fewer = !is_within(before.replicas, after.replicas);
  if (after.leader != before.leader || fewer) record.leader = after.leader;
  if (after.last_known_leader != before.last_known_leader) {
    record.last_known_leader = after.last_known_leader;
  }
  if (after.recovering != before.recovering) record.recovering = after.recovering ? 1 : 0;
  return record;
}

Partition changed(Partition before, const PartitionChangeRecord& change) {
  Partition after = std::move(before);
  if (change.isr) after.isr = *change.isr;
  if (change.replicas) after.replicas = *change.replicas;
  if (change.adding) after.adding = *change.adding;
  if (change.removing) after.removing = *change.removing;
  if (change.elr) after.elr = *change.elr;
  if (change.leader != unchanged) {
    after.leader = change.leader;
    after.leader_epoch = after.leader_epoch.next();
  }
  if (change.last_known_leader != unchanged) after.last_known_leader = change.last_known_leader;
  if (change.recovering != -1) after.recovering = change.recovering == 1;
  ++after.partition_epoch;
  check(after);
  return after;
}

}  // namespace qlab::metadata
