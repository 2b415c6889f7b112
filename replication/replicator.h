#pragma once
// How a partition's append becomes committed: the seam between the two worlds of copies (isr,
// consensus).
//
// One Replicator per partition replica on this node. It owns the log and decides what consumers may
// see.
//
// Thread: the partition's shard.

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "common/ids.h"
#include "replication/changes.h"
#include "runtime/async.h"
#include "storage/log.h"

namespace qlab::replication {

// What the cluster has decided about a partition, as far as its replicas need it (from the metadata
// image).
struct PartitionState {
  TopicId topic_id;
  NodeId leader = no_node;  // no_node: nobody leads.
  LeaderEpoch leader_epoch;
  std::int32_t partition_epoch = 0;  // Goes up with every change of this record.
  std::vector<NodeId> replicas;      // In order of preference.
  std::vector<NodeId> isr;
  std::int32_t min_insync_replicas = 1;  // Never more than replicas.size() counts.
  storage::CleanupPolicy cleanup_policy = storage::CleanupPolicy::by_age_and_size;
};

enum class Acks : std::int8_t { none = 0, leader = 1, all = -1 };

struct ReplicaFetch {  // A follower's fetch, which is also its acknowledgement of everything before
                       // `offset`.
  NodeId replica;
  BrokerEpoch broker_epoch;  // -1: not told (Fetch < 15).
  Offset offset;
  LeaderEpoch last_fetched_epoch;  // -1: not told; else checked for divergence (KIP-595).
  Offset log_start;
};

struct ConsumerFetch {
  Offset offset;
  LeaderEpoch current = no_leader_epoch;  // The leader epoch it knows; -1: not told.
  bool takes_followers = false;           // Any replica may answer (KIP-392).
  std::vector<NodeId> near = {};  // Brokers that it would rather read from; empty: the leader.
};

struct FetchOutcome {
  Bytes batches;
  Offset high_watermark;
  Offset log_start;
  std::optional<storage::EpochEnd> diverging;  // The follower must truncate; no batches then.
  // The follower asked for an offset outside the log, and begins anew where that begins; no
  // batches.
  bool is_out_of_range = false;
  // The consumer is to read from this one; no batches (KIP-392).
  std::optional<NodeId> preferred_replica;
};

class Replicator {
 public:
  virtual ~Replicator() = default;

  // Takes a newer decision of the cluster. Older leader or partition epochs are ignored.
  virtual Task<Result<void>> apply(PartitionState state) = 0;

  // Appends as the leader and returns when `acks` is fulfilled.
  // Requires: whole, CRC-checked batches.
  // Errors: not_leader and not_enough_replicas (nothing was appended); timed_out and
  // unknown_outcome (appended, and not committed before the deadline or the end of this leadership:
  // it may be yet); out_of_sequence, stale_producer; no_space; io.
  virtual Task<Result<storage::AppendResult>> append(Bytes batches, Acks acks, Time deadline) = 0;

  // What a consumer may see from its offset: below the high watermark, as far as that is known
  // here. Of 0 bytes, no batches.
  // Errors: not_leader; fenced / unknown_epoch when the epoch it knows differs from ours;
  // out_of_range; corrupt.
  virtual Task<Result<FetchOutcome>> fetch_as_consumer(ConsumerFetch fetch,
                                                       std::size_t bytes_max) = 0;
  // What a follower needs; counts as its acknowledgement. It need not be repeated while nothing
  // changes: a follower that has everything stays caught up. Errors: as above, but for
  // out_of_range, which the outcome tells together with the log start; not_found when it is no
  // replica.
  virtual Task<Result<FetchOutcome>> fetch_as_replica(ReplicaFetch fetch, LeaderEpoch current,
                                                      std::size_t bytes_max) = 0;

  // Deletes all records below `before` (-1: below the high watermark), and returns the least log
  // start of the replicas in sync once it has reached `before` on all of them.
  // Errors: not_leader; out_of_range, beyond the high watermark; unsupported, when the topic's
  // cleanup policy deletes nothing; timed_out (deleted here, and not on all of them yet); io.
  virtual Task<Result<Offset>> delete_records(Offset before, Time deadline) = 0;

  virtual storage::Log& log() = 0;
  virtual Offset high_watermark() const = 0;
  // False from the beginning of a leadership until the watermark has reached where the log ended
  // then: until that, it may lie behind what was acknowledged before (KIP-207).
  virtual bool is_watermark_known() const = 0;
  virtual const PartitionState& state() const = 0;
  virtual bool is_leader() const = 0;
  // Notified when the log start, its end or the high watermark moves, or the state changes: a long
  // poll waits here.
  virtual Changes& changed() = 0;
  virtual Task<Result<void>> close() = 0;
};

}  // namespace qlab::replication
