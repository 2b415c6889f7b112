#pragma once
// The control requests that one event makes, gathered per broker and sent together.
//
// Source: Kafka 3.9, AbstractControllerBrokerRequestBatch. Kafka's requests hold all partitions of
// the event; here one holds at most partitions_per_request_max, and more of them follow each other.

#include <functional>
#include <map>
#include <set>
#include <vector>

#include "controller/zk/broker_channels.h"
#include "controller/zk/context.h"

namespace qlab::controller {

// Of one or more sendings.
struct RequestCounts {
  std::int64_t leader_and_isr = 0;  // Requests.
  std::int64_t update_metadata = 0;
  std::int64_t stop_replica = 0;
  std::int64_t leader_and_isr_bytes = 0;
  std::int64_t update_metadata_bytes = 0;
  std::int64_t stop_replica_bytes = 0;

  std::int64_t requests() const { return leader_and_isr + update_metadata + stop_replica; }
  void add(const RequestCounts& more);
};

class RequestBatch {
 public:
  // Tells what became of replicas that were to be deleted.
  using OnDeleted =
      std::function<void(NodeId broker, std::vector<TopicPartition> asked, ByteView response)>;

  RequestBatch(const Context& context, const ZkOptions& options, std::int32_t controller_epoch,
               OnDeleted on_deleted)
      : context_(context),
        options_(options),
        controller_epoch_(controller_epoch),
        on_deleted_(std::move(on_deleted)) {}

  // The broker hears who leads the partition, and so do all of its metadata.
  void add_leader_and_isr(NodeId broker, PartitionRef partition, bool is_new);
  void add_stop_replica(NodeId broker, PartitionRef partition, bool remove);
  // All of these brokers hear of all partitions that are added before the sending.
  void add_update_metadata(const std::vector<NodeId>& brokers);
  void add_update_metadata(PartitionRef partition) { updated_.push_back(partition); }
  // With this sending, the brokers that hear of metadata have heard of all there is: topics that
  // they know from before and were not told of are gone.
  void close_metadata() { is_all_ = true; }

  // Queues the requests and begins anew. Brokers without a channel are left out.
  RequestCounts send(BrokerChannels& channels);

 private:
  struct Stop {
    PartitionRef partition;
    bool remove = false;
  };
  struct Lead {
    PartitionRef partition;
    bool is_new = false;
  };
  void send_leader_and_isr(BrokerChannels& channels, NodeId broker, std::vector<Lead> leads);
  void send_update_metadata(BrokerChannels& channels);
  void send_stop_replica(BrokerChannels& channels, NodeId broker, const std::vector<Stop>& stops);

  const Context& context_;
  const ZkOptions& options_;
  const std::int32_t controller_epoch_;
  const OnDeleted on_deleted_;
  std::map<NodeId, std::vector<Lead>> leads_;
  std::map<NodeId, std::vector<Stop>> stops_;
  std::vector<PartitionRef> updated_;
  std::set<NodeId> informed_;  // Of updated_.
  bool is_all_ = false;
  RequestCounts counts_;
};

}  // namespace qlab::controller
