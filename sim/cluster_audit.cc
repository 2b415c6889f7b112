#include "sim/cluster_audit.h"

#include <algorithm>

#include "common/crc32c.h"

namespace qlab::sim {

bool ClusterAudit::is_done() const {
  return std::all_of(reads_.begin(), reads_.end(),
                     [](const auto& read) { return read->value.has_value(); });
}

runtime::Task<void> ClusterAudit::read(std::shared_ptr<ClusterAudit> audit, NodeId node,
                                       TopicPartition partition, Replica replica) {
  constexpr std::size_t bytes_max = 1 << 20;
  storage::Log& log = replica->log();
  Copy copy{node, log.end()};
  Bytes bytes;
  for (Offset at = log.start(); at < copy.end;) {
    const auto read = co_await log.read(at, copy.end, bytes_max);
    if (!read || read->next == at) {
      audit->finding_ =
          fmt::format("replicas_are_equal: node {} cannot read {} at {}: {}", node,
                      partition.name(), at, read ? "nothing" : read.error().message());
      co_return;
    }
    bytes.insert(bytes.end(), read->batches.begin(), read->batches.end());
    at = read->next;
  }
  copy.crc = crc32c(bytes);
  const Copy& first = audit->first_.try_emplace(partition, copy).first->second;
  if (first.end == copy.end && first.crc == copy.crc) co_return;
  audit->finding_ = fmt::format(
      "replicas_are_equal: {} ends at {} on node {} and at {} on node {}, {}", partition.name(),
      first.end, first.node, copy.end, node, first.end == copy.end ? "with other bytes" : "");
}

// What replicas leave behind is deleted in the background.
runtime::Task<void> ClusterAudit::look_for_strays(std::shared_ptr<ClusterAudit> audit, NodeId node,
                                                  const broker::Node* program) {
  co_await program->partitions().settled();
  const auto strays = co_await program->partitions().find_strays(program->image());
  if (strays && strays->empty()) co_return;
  audit->finding_ = fmt::format(
      "disks_hold_what_is_their_own: node {} has {}", node,
      strays ? fmt::format("a log of {}, no replica of its own, on its disk", strays->front())
             : strays.error().message());
}

std::shared_ptr<ClusterAudit> begin_audit(Cluster& cluster) {
  auto audit = std::make_shared<ClusterAudit>();
  for (const NodeId id : cluster.swarm().brokers) {
    if (cluster.history().promises.images_share_a_log) {
      audit->reads_.push_back(
          runtime::begin(cluster.world(), id,
                         ClusterAudit::look_for_strays(audit, id, &cluster.node(id)->node())));
    }
    for (auto& entry : cluster.node(id)->node().partitions().at_home()) {
      audit->reads_.push_back(runtime::begin(
          cluster.world(), id, ClusterAudit::read(audit, id, entry.partition, entry.replica)));
    }
  }
  return audit;
}

}  // namespace qlab::sim
