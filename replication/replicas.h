#pragma once
// The partition replicas of one shard: opened, led, followed and dropped as the cluster's metadata
// says.
//
// Thread: the shard it was made on.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "consensus/driver.h"
#include "metadata/publisher.h"
#include "replication/options.h"
#include "replication/replicator.h"
#include "runtime/async.h"
#include "storage/layout.h"

namespace qlab::replication {

class GroupHost;

// What a leader asks of the controller: another ISR, as a compare and swap.
struct IsrProposal {
  TopicId topic_id;
  PartitionIndex partition;
  LeaderEpoch leader_epoch;
  std::int32_t partition_epoch = 0;
  std::vector<NodeId> isr;
  // One per member: of the incarnation whose fetches the leader counts, -1 where it knows none and
  // for itself (KIP-903).
  std::vector<BrokerEpoch> isr_epochs;
  // The leader of the partition's consensus group, whom the metadata does not name, wants to be
  // named, in a new leader epoch.
  bool claims_leadership = false;
};
struct IsrAnswer {
  std::int32_t partition_epoch = 0;
  std::vector<NodeId> isr;
};
// Errors: invalid, when it was refused for certain and nothing changed; fenced, when it was based
// on an old state, so that newer metadata is on its way; any other: the outcome is open, and it may
// be asked again.
using ProposeIsr = std::function<Task<Result<IsrAnswer>>(IsrProposal proposal)>;

// Partitions are copied by consensus groups.
struct GroupsContext {
  consensus::ModuleFactory module;
  consensus::Tuning tuning;
  // To the groups of the same shard of another broker; callable on this shard, as is the next.
  std::function<void(NodeId, Bytes)> send;
  std::function<void(NodeId)> close_link;
  std::uint64_t log_file_bytes = 32u << 20;  // Of the groups' log, before it is compacted.
};

struct ReplicasContext {
  NodeId self;
  ReplicationOptions options;
  ProposeIsr propose_isr;  // Callable on this shard.
  std::function<void(Error)>
      on_fatal;  // A log cannot go on (failed sync, corrupt middle); called on this shard.
  // This broker's epoch, -1 before it is registered: it fetches once it is. Nothing: no epochs are
  // told. Callable on this shard.
  std::function<BrokerEpoch()> broker_epoch = {};
  // Whether a broker of that epoch (-1: any) may come into an ISR, as far as the metadata says that
  // was handed in. Set by Replicas.
  std::function<bool(NodeId, BrokerEpoch)> may_join = {};
  std::size_t shard = 0;  // Of shard_count: it owns the partitions that shard_of() gives it.
  std::size_t shard_count = 1;
  std::optional<GroupsContext> groups = {};  // Nothing: they are copied by fetching.
};

// The shard that owns a partition.
std::size_t shard_of(const TopicId& topic, PartitionIndex partition, std::size_t shard_count);

class Replicas {
 public:
  // Requires: runtime, layout outlive it; the layout is started.
  Replicas(runtime::Runtime& runtime, storage::Layout& layout, ReplicasContext context);
  ~Replicas();

  // Recovers the log of the consensus groups on `engine`, which outlives this. Requires: once,
  // before all else, if the context has groups. Errors: as of GroupLog::open.
  Task<Result<void>> open_groups(storage::Engine& engine);
  // From the transport, about messages between groups. No effect without groups.
  void on_group_message(NodeId from, runtime::LinkEpoch link, ByteView message);
  void on_link_up(NodeId peer, runtime::LinkEpoch link);
  void on_link_down(NodeId peer, runtime::LinkEpoch link);

  // Takes newer metadata. Opening, truncating and deleting follow in the background, in order.
  // Requires: called on this shard, in the order of publication; the first delta may be empty only
  // if the image is.
  void on_metadata(metadata::ImagePtr image, metadata::DeltaPtr delta);
  // Returns when all metadata handed in so far has been acted on.
  Task<void> settled();

  // The replica here, or nullptr. Valid until the next on_metadata() that removes the topic takes
  // effect; hold the shared_ptr.
  std::shared_ptr<Replicator> find(TopicId topic, PartitionIndex partition) const;
  std::size_t size() const;

  struct Entry {
    TopicPartition partition;
    std::shared_ptr<Replicator> replica;
  };
  std::vector<Entry> all() const;  // Sorted by name.

  // The groups of this shard; null: there are none.
  const GroupHost* groups() const;

  // How often its fetchers looked at a partition to make their requests, so far.
  std::uint64_t fetch_looks() const;

  // Stops fetching, syncs and closes all logs. Returns whether all of them are durable.
  Task<bool> stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace qlab::replication
