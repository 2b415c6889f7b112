#pragma once
// Reads the logs of all replicas of a cluster, as they are on each broker: below the high watermark
// they hold the same bytes. And looks at what else is on the brokers' disks: where images share a
// log, no log that is not the broker's own.

#include <map>
#include <memory>

#include "runtime/simulated/run.h"
#include "sim/cluster.h"

namespace qlab::sim {

class ClusterAudit {
 public:
  bool is_done() const;
  // Replicas that differ, or a log that cannot be read.
  const std::optional<std::string>& finding() const { return finding_; }

 private:
  friend std::shared_ptr<ClusterAudit> begin_audit(Cluster& cluster);
  using Replica = std::shared_ptr<replication::Replicator>;
  static runtime::Task<void> read(std::shared_ptr<ClusterAudit> audit, NodeId node,
                                  TopicPartition partition, Replica replica);
  static runtime::Task<void> look_for_strays(std::shared_ptr<ClusterAudit> audit, NodeId node,
                                             const broker::Node* program);

  struct Copy {
    NodeId node;
    Offset end;
    std::uint32_t crc = 0;
  };
  std::map<TopicPartition, Copy> first_;  // The first that was read.
  std::vector<std::shared_ptr<runtime::TaskOutcome<void>>> reads_;
  std::optional<std::string> finding_;
};

// Requires: nothing is produced, deleted or crashed until it is done.
std::shared_ptr<ClusterAudit> begin_audit(Cluster& cluster);

}  // namespace qlab::sim
