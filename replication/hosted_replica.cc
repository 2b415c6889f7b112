#include "replication/hosted_replica.h"

namespace qlab::replication {

Result<void> check_epoch(const TopicPartition& partition, LeaderEpoch here, LeaderEpoch current) {
  if (current != no_leader_epoch && current < here) {
    return fail(Errc::fenced, "partition {} has leader epoch {}, not {}", partition.name(), here,
                current);
  }
  if (current > here) {
    return fail(Errc::unknown_epoch, "partition {} has leader epoch {} here, {} is not known yet",
                partition.name(), here, current);
  }
  return {};
}

}  // namespace qlab::replication
