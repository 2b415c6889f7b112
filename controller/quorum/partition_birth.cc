#include "controller/quorum/partition_birth.h"

namespace qlab::controller {

std::vector<NodeId> active_brokers(const metadata::Image& image) {
  std::vector<NodeId> brokers;
  for (const auto& [id, broker] : image.brokers()) {
    if (broker.is_active()) brokers.push_back(id);
  }
  return brokers;
}

metadata::Partition new_partition(const metadata::Image& image, std::vector<NodeId> replicas) {
  metadata::Partition partition;
  partition.replicas = std::move(replicas);
  for (NodeId replica : partition.replicas) {
    if (image.is_active(replica)) partition.isr.push_back(replica);
  }
  if (partition.isr.empty()) {
    partition.isr.push_back(partition.replicas.front());
  } else {
    partition.leader = partition.isr.front();
  }
  return partition;
}

}  // namespace qlab::controller
