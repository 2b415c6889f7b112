#pragma once
// What the cluster knows: brokers, topics, partitions, as one immutable value.
//
// Records are the only thing that changes it: image' = image.replay(record). The active controller
// replays what it has decided and not yet committed onto an image of its own; everyone else replays
// what is committed. Going back is keeping the older value.
//
// Thread: any; an image is never changed once made. Source: KIP-631 (records), KIP-500 (images).

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/ids.h"
#include "metadata/bucket_map.h"
#include "metadata/entry.h"

namespace qlab::metadata {

struct Broker {
  NodeId id;
  BrokerEpoch epoch;
  Uuid incarnation;
  DirectoryId directory;
  std::string host;
  std::uint16_t port = 0;
  bool fenced = true;
  bool shutting_down = false;
  LogIndex registered_at;  // Metadata log index of the registration; it is unfenced once it has
                           // applied this.

  // May lead partitions and be shown to clients.
  bool is_active() const { return !fenced && !shutting_down; }
};

struct Partition {
  std::vector<NodeId> replicas;  // In order of preference; never empty.
  std::vector<NodeId> isr;       // Subset of replicas; never empty.
  NodeId leader = no_node;       // Member of isr, or no_node.
  LeaderEpoch leader_epoch;
  std::int32_t partition_epoch = 0;
  bool operator==(const Partition&) const = default;
};

struct Topic {
  std::string name;
  TopicId id;
  std::vector<std::shared_ptr<const Partition>> partitions;  // By index.
  std::map<std::string, std::string> configs;                // Only what the topic sets itself.
};
using TopicPtr = std::shared_ptr<const Topic>;

// What a series of records touched, so that whoever follows looks at no more than that.
struct Delta {
  std::set<TopicId> topics;  // Made, changed or removed.
  std::set<NodeId> brokers;
};

class Image {
 public:
  // The image after a batch of records, which is replayed as one. `delta` gathers what they
  // touched. Requires: the records were decided against this image or one before it in the same
  // log; a record that does not fit is a defect of the controller and CHECKed. Cost: copies each
  // topic touched once.
  Image replay(const Records& records, LogIndex at, Delta& delta) const;

  const std::map<NodeId, Broker>& brokers() const { return brokers_; }
  const Broker* broker(NodeId id) const;
  bool is_active(NodeId id) const;

  TopicPtr topic(const std::string& name) const;
  TopicPtr topic(TopicId id) const;
  const BucketMap<std::string, TopicPtr>& topics() const { return topics_; }
  const Partition* partition(TopicId id, PartitionIndex index) const;

  LogIndex offset() const {
    return offset_;
  }  // Of the last record replayed; 0 for the empty image.
  BrokerEpoch last_broker_epoch() const { return last_broker_epoch_; }
  ProducerId next_producer_id() const { return next_producer_id_; }

 private:
  friend class Replayer;  // image.cc: changes a copy that nobody else has seen yet.

  std::map<NodeId, Broker> brokers_;
  BucketMap<std::string, TopicPtr> topics_;
  BucketMap<TopicId, TopicPtr> topics_by_id_;  // The same topics.
  LogIndex offset_;
  BrokerEpoch last_broker_epoch_;
  ProducerId next_producer_id_;
};
using ImagePtr = std::shared_ptr<const Image>;

}  // namespace qlab::metadata
