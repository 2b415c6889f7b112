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
#include "metadata/entry.h"
#include "metadata/partition.h"
#include "metadata/persistent_map.h"
#include "metadata/persistent_vector.h"

namespace qlab::metadata {

using Configs = std::map<std::string, std::string>;

struct Broker {
  NodeId id;
  BrokerEpoch epoch;
  Uuid incarnation;
  DirectoryId directory;
  std::string host;
  std::uint16_t port = 0;
  std::string rack;  // Empty: none.
  bool fenced = true;
  bool shutting_down = false;
  LogIndex registered_at;  // Metadata log index of the registration; it is unfenced once it has
                           // applied this.

  // May lead partitions and be shown to clients.
  bool is_active() const { return !fenced && !shutting_down; }
  bool operator==(const Broker&) const = default;
};

struct Topic {
  std::string name;
  TopicId id;
  PersistentVector<Partition> partitions;  // By index.
  Configs configs;                         // Only what the topic sets itself.
  std::int32_t partitions_wanted = -1;     // While it is forming: how many there will be.
};
using TopicPtr = std::shared_ptr<const Topic>;

class Image;

// What a series of records touched, so that whoever follows looks at no more than that.
struct Delta {
  std::set<TopicId> topics;  // Made, changed or removed.
  // Of a topic that was there before and of which only partitions changed: which, sorted. A topic
  // that is not here changed as a whole.
  std::map<TopicId, std::set<PartitionIndex>> partitions;
  std::set<NodeId> brokers;
  bool broker_configs = false;

  // All that is in the image has changed as a whole. What is forming in it is not there yet.
  void add_all(const Image& image);
};

// Topics, each with how many of its partitions have something in common.
struct TopicCounts {
  PersistentMap<TopicId, std::uint32_t> topics;
  std::uint64_t total = 0;
};

// Whom to look at when something happens, so that nobody goes through all partitions.
struct ImageIndex {
  std::map<NodeId, TopicCounts> held;  // By broker: it is in the ISR, an ELR, or led last.
  std::map<NodeId, TopicCounts> led;   // By leader; no_node: those without one.
  TopicCounts not_preferred;           // Led by another than the first replica, or by nobody.
  TopicCounts reassigning;
};

class Image {
 public:
  // The image after a batch of records, which is replayed as one. `delta` gathers what they
  // touched. Requires: the records were decided against this image or one before it in the same
  // log; a record that does not fit is a defect of the controller and CHECKed.
  // Cost: of the records and of the logarithm of what there is.
  Image replay(const Records& records, LogIndex at, Delta& delta) const;

  const std::map<NodeId, Broker>& brokers() const { return brokers_; }
  const Broker* broker(NodeId id) const;
  bool is_active(NodeId id) const;
  // Dynamic configs of brokers: of one, or (no_node) of all that say nothing themselves.
  const Configs& broker_configs(NodeId id) const;

  TopicPtr topic(const std::string& name) const;
  TopicPtr topic(TopicId id) const;
  const PersistentMap<std::string, TopicPtr>& topics() const { return topics_; }
  const Partition* partition(TopicId id, PartitionIndex index) const;

  // Topics of which some partitions are still to come. To all but the controller they are not
  // there.
  const std::map<TopicId, TopicPtr>& forming() const { return forming_; }
  // A topic, forming or not.
  TopicPtr any_topic(TopicId id) const;
  // Of both kinds of topics.
  const ImageIndex& index() const { return index_; }

  LogIndex offset() const {
    return offset_;
  }  // Of the last record replayed; 0 for the empty image.
  BrokerEpoch last_broker_epoch() const { return last_broker_epoch_; }
  ProducerId next_producer_id() const { return next_producer_id_; }

 private:
  // Change a copy that nobody else has seen yet: replay.cc, editor.h.
  friend class Replayer;
  friend class Editor;

  std::map<NodeId, Broker> brokers_;
  std::map<NodeId, Configs> broker_configs_;
  PersistentMap<std::string, TopicPtr> topics_;
  PersistentMap<TopicId, TopicPtr> topics_by_id_;  // The same topics.
  std::map<TopicId, TopicPtr> forming_;
  ImageIndex index_;
  LogIndex offset_;
  BrokerEpoch last_broker_epoch_;
  ProducerId next_producer_id_;
};
using ImagePtr = std::shared_ptr<const Image>;

}  // namespace qlab::metadata
