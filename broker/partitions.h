#pragma once
// The partition replicas of a node, over all its shards, as handlers on the home shard reach them.

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "broker/config.h"
#include "metadata/publisher.h"
#include "replication/replicas.h"
#include "replication/strays.h"
#include "runtime/async.h"
#include "runtime/shards.h"

namespace qlab::broker {

using runtime::Task;

// Which replica is meant.
struct PartitionKey {
  std::string topic;
  TopicId topic_id;
  PartitionIndex partition;
};

// Thread: the home shard, unless said otherwise.
class Partitions {
 public:
  using ReplicaPtr = std::shared_ptr<replication::Replicator>;

  // `propose_isr` and `on_fatal` are called on the home shard.
  // Requires: `shards` and `config` outlive this.
  Partitions(runtime::Shards& shards, const NodeConfig& config, replication::ProposeIsr propose_isr,
             std::function<void(Error)> on_fatal);
  ~Partitions();

  // Makes each shard's part on its shard. Requires: before all else. Errors: as of
  // make_partition_store and Layout::start.
  Task<Result<void>> open();

  // Of this broker's registration, for its fetches; they begin once it is known.
  void set_broker_epoch(BrokerEpoch epoch) { broker_epoch_ = epoch.value(); }
  // From the transport, about messages between consensus groups.
  void on_group_message(NodeId from, runtime::LinkEpoch link, Bytes message);
  void on_link_up(NodeId peer, runtime::LinkEpoch link);
  void on_link_down(NodeId peer, runtime::LinkEpoch link);
  // Begins to remove the logs here that the image does not give this broker (strays.h). Metadata
  // that is handed in meanwhile waits: as logs of a name may be of different shards, none is opened
  // before the last of these is gone.
  // Requires: before the first on_metadata(); the image is committed and was read after this life's
  // registration.
  void drop_strays(metadata::ImagePtr image);
  // The logs that drop_strays() would remove. Requires: all metadata was acted on, none comes.
  Task<Result<std::vector<std::string>>> find_strays(metadata::ImagePtr image) const;
  // Hands newer metadata to every shard.
  void on_metadata(const metadata::ImagePtr& image, const metadata::DeltaPtr& delta);
  // Returns when every shard has acted on what was handed in so far.
  Task<void> settled() const;

  // Runs `work` on the partition's own shard, with its replica, or nullptr when there is none here.
  template <class T>
  Task<T> with_replica(PartitionKey key, std::function<Task<T>(ReplicaPtr)> work);
  std::size_t shard_index(const PartitionKey& key) const {
    return replication::shard_of(key.topic_id, key.partition, shards_.size());
  }

  // What the control service tells of a replica.
  struct View {
    TopicPartition partition;
    replication::PartitionState state;
    Offset log_start;
    Offset log_end;
    Offset durable_end;
    Offset high_watermark;
  };
  Task<std::vector<View>> views() const;  // Sorted by name.
  // How many replicas are open here.
  Task<std::size_t> count();
  // The replicas of the home shard, sorted by name.
  std::vector<replication::Replicas::Entry> at_home() const;

  // Stops fetching, closes the logs. Handlers that are under way see errors. Returns whether all
  // there was is durable.
  Task<bool> close();
  bool is_closing() const { return closing_; }
  // Requires: close() has returned, and no handler is under way.
  Task<void> destroy();

 private:
  struct Shard;

  replication::ReplicasContext context_of(std::size_t shard) const;
  std::optional<replication::GroupsContext> groups_of(std::size_t shard) const;
  replication::LogOwner owner_of(const Shard& shard) const;
  Task<void> drop_all_strays(metadata::ImagePtr image);
  Task<Result<void>> open_shard(std::size_t index);
  static Task<bool> close_shard(Shard& shard);
  static Task<void> destroy_shard(std::unique_ptr<Shard>& shard);
  Shard& shard_of(const PartitionKey& key);
  template <class T>
  static Task<T> work_here(Shard& shard, PartitionKey key, std::function<Task<T>(ReplicaPtr)> work);
  static ReplicaPtr find(Shard& shard, const PartitionKey& key);
  static runtime::Runtime& runtime_of(Shard& shard);
  static bool is_home(const Shard& shard);

  runtime::Shards& world_;
  const NodeConfig& config_;
  replication::ProposeIsr propose_isr_;
  std::function<void(Error)> on_fatal_;
  std::atomic<std::int64_t> broker_epoch_ = -1;  // Read by all shards.
  bool closing_ = false;
  std::vector<std::unique_ptr<Shard>> shards_;

  bool dropping_ = false;  // Strays.
  struct News {
    metadata::ImagePtr image;
    metadata::DeltaPtr delta;
  };
  std::deque<News> held_;           // That came meanwhile.
  mutable runtime::Event dropped_;  // No strays are left.
  runtime::Gate gate_;
};

template <class T>
Task<T> Partitions::work_here(Shard& shard, PartitionKey key,
                              std::function<Task<T>(ReplicaPtr)> work) {
  co_return co_await work(find(shard, key));
}

template <class T>
Task<T> Partitions::with_replica(PartitionKey key, std::function<Task<T>(ReplicaPtr)> work) {
  Shard& shard = shard_of(key);
  if (is_home(shard)) co_return co_await work(find(shard, key));
  const auto make_work = [&shard, &key, &work] { return work_here<T>(shard, key, work); };
  co_return co_await runtime::run_on(runtime_of(shard), make_work);
}

}  // namespace qlab::broker
