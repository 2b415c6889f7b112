#pragma once
// What a broker makes of the zk controller's requests: images of the cluster, and of what is here.
//
// There are two. LeaderAndIsr and StopReplica say which replicas this broker has and who leads
// them; UpdateMetadata says what clients may be told, of the whole cluster. They come one after the
// other and neither waits for the other, so each has an image and a publisher of its own. A
// request of an older controller, or one that was meant for an older registration of this broker,
// changes nothing, and neither does a state of a partition that is older than the one known.
//
// Thread: the home shard. Source: Kafka 3.9, ReplicaManager and ZkMetadataCache; KIP-380, KIP-570.

#include <map>
#include <optional>
#include <set>

#include "metadata/editor.h"
#include "metadata/publisher.h"
#include "wire/kafka/leader_and_isr.h"
#include "wire/kafka/stop_replica.h"
#include "wire/kafka/update_metadata.h"

namespace qlab::controller {

class MetadataCache {
 public:
  // `cluster` gets what clients are told, `replicas` what is here. Requires: both outlive this.
  MetadataCache(NodeId self, metadata::Publisher& cluster, metadata::Publisher& replicas)
      : self_(self), cluster_(cluster), replicas_(replicas) {}

  // The registration that stands; requests that are meant for one before it are refused.
  void registered(BrokerEpoch epoch);

  static bool takes(std::int16_t api_key);
  // Takes a request in its one version, publishes what it changed, and returns the response.
  // Requires: takes(api_key). Errors: corrupt; closed, before the first registration: a request
  // that comes then is meant for an earlier process, or for one that stands soon, and is sent
  // again. Cost: of what the request names, and of the logarithm of what there is.
  Result<Bytes> handle(std::int16_t api_key, ByteView body);

  // How many requests have changed something: what this broker has applied.
  LogIndex applied() const { return applied_; }
  std::int32_t controller_epoch() const { return controller_epoch_; }

  wire::LeaderAndIsrResponse take(const wire::LeaderAndIsrRequest& request);
  wire::UpdateMetadataResponse take(const wire::UpdateMetadataRequest& request);
  wire::StopReplicaResponse take(const wire::StopReplicaRequest& request);

  // The configs that topics and brokers have set themselves, as the config znodes say. What is told
  // of a topic before the topic is known counts as soon as it is. Empty: it has none.
  void set_topic_configs(const std::string& topic, metadata::Configs configs);
  void set_broker_configs(NodeId broker, metadata::Configs configs);

 private:
  // One image under change.
  struct Change {
    explicit Change(const metadata::Publisher& publisher) : editor(*publisher.image(), *delta) {}
    std::shared_ptr<metadata::Delta> delta = std::make_shared<metadata::Delta>();
    metadata::Editor editor;
  };

  template <class Request>
  wire::KafkaError fence(const Request& request);
  template <class Topic>
  void open(Change& change, const Topic& topic) const;
  wire::KafkaError host(Change& change, TopicId topic,
                        const wire::LeaderAndIsrRequest::PartitionState& state);
  void tell(Change& change, TopicId topic,
            const wire::UpdateMetadataRequest::PartitionState& state) const;
  void set_brokers(Change& change, const wire::UpdateMetadataRequest& request) const;
  wire::KafkaError stop(Change& change, const metadata::Topic* topic,
                        const wire::StopReplicaRequest::PartitionState& state);
  void forget_untold(Change& cluster, Change& here);
  void drop_moved(Change& change, const wire::UpdateMetadataRequest::TopicState& topic);
  void drop(Change& change, TopicId topic, PartitionIndex index);
  void publish(Change& change, metadata::Publisher& publisher);

  const NodeId self_;
  metadata::Publisher& cluster_;
  metadata::Publisher& replicas_;
  std::int32_t controller_epoch_ = 0;  // The highest that was heard of.
  BrokerEpoch broker_epoch_{-1};
  LogIndex applied_;
  // The topics that the controller has told of since it, or this broker's registration, is new;
  // nothing once it has told of all there are.
  std::optional<std::set<TopicId>> told_;
  std::map<TopicId, std::size_t> hosted_;  // How many partitions of it are here; never 0.
  std::map<std::string, metadata::Configs> topic_configs_;  // Of those that have any.
};

}  // namespace qlab::controller
