#pragma once
// What Replicas asks of a replica besides the seam itself, however its copies are made.

#include "replication/replicator.h"

namespace qlab::replication {

// Thread: the partition's shard.
class HostedReplica : public Replicator {
 public:
  virtual const TopicPartition& partition() const = 0;
  virtual bool has_failed() const = 0;  // Its log takes no more.
  // Closes and deletes the log: the topic is gone.
  virtual Task<Result<void>> remove() = 0;
  // Deletes and compacts what its log no longer needs. Errors: of the log.
  virtual Task<Result<void>> clean() = 0;
  // Looks who lags. Called every now and then.
  virtual void check_lag() = 0;
  // Brokers have come or gone: others may come into the ISR.
  virtual void reconsider() = 0;
};

// Whether a replica in leader epoch `here` may answer who knows `current`; no_leader_epoch: not
// told. Errors: fenced, it knows an older one; unknown_epoch, a newer one (KIP-320).
Result<void> check_epoch(const TopicPartition& partition, LeaderEpoch here, LeaderEpoch current);

}  // namespace qlab::replication
