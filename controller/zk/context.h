#pragma once
// What the active zk controller knows of the cluster: Kafka's ControllerContext, kept small.
//
// A partition takes 28 bytes and a byte per replica: lists of brokers are few and many partitions
// have the same, so each is kept once.

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "controller/zk/znodes.h"
#include "metadata/partition.h"

namespace qlab::controller {

// Each list of brokers once, by number. What was in use once stays.
class NodeLists {
 public:
  NodeLists() { number_of({}); }
  std::uint32_t number_of(const std::vector<NodeId>& nodes);  // 0: the empty one.
  const std::vector<NodeId>& at(std::uint32_t number) const { return *lists_[number]; }

 private:
  std::map<std::vector<NodeId>, std::uint32_t> numbers_;
  std::vector<const std::vector<NodeId>*> lists_;  // Keys of numbers_.
};

// Kafka's states of partitions and replicas (PartitionState, ReplicaState).
enum class PartitionState : std::uint8_t { new_partition, online, offline, non_existent };
enum class ReplicaState : std::uint8_t {
  new_replica,
  online,
  offline,
  deletion_started,
  deletion_successful,
  deletion_ineligible,
  non_existent,
};

struct ZkPartition {
  std::uint32_t replicas = 0;  // NodeLists
  std::uint32_t isr = 0;       // NodeLists
  NodeId leader = no_node;
  LeaderEpoch leader_epoch;
  std::int32_t controller_epoch = 0;  // Of who decided the above.
  std::int32_t version = -1;          // Of the state znode; -1: there is none.
  PartitionState state = PartitionState::non_existent;
  bool recovering = false;
  bool leader_came_back = false;  // It registered anew since it was made the leader.

  bool has_state() const { return version >= 0; }
};

struct ZkTopic {
  std::string name;
  TopicId id;
  std::uint32_t number = 0;  // In order of discovery.
  std::int32_t version = 0;  // Of the topic's znode.
  std::vector<ZkPartition> partitions;
  std::vector<ReplicaState> replica_states;  // replicas_max per partition.
  std::size_t replicas_max = 0;
  std::map<PartitionIndex, znodes::TopicValue::Move> moves;  // Of reassignments.
  bool is_settled = false;                                   // Its partitions were decided on once.
  bool to_be_deleted = false;
  bool deletion_begun = false;       // Brokers were told.
  bool deletion_ineligible = false;  // A replica's broker is away.
};

// One partition of a topic that stays while this is used.
struct PartitionRef {
  ZkTopic* topic = nullptr;
  PartitionIndex index;

  ZkPartition& get() const { return topic->partitions[static_cast<std::size_t>(index.value())]; }
  bool operator==(const PartitionRef&) const = default;
  bool operator<(const PartitionRef& other) const {
    if (topic != other.topic) return topic->number < other.topic->number;
    return index < other.index;
  }
};
struct ReplicaRef {
  PartitionRef partition;
  NodeId broker;
};

struct LiveBroker {
  NodeId id;
  BrokerEpoch epoch;
  znodes::BrokerValue at;
  // Of the registration's znode, once this reign has written it (Reign::pin): another registration
  // under this id has a lower one.
  std::optional<std::int32_t> version = std::nullopt;
};

class Context {
 public:
  std::map<NodeId, LiveBroker> brokers;  // Registered.
  std::set<NodeId> shutting_down;        // Of those.
  NodeLists lists;

  const std::map<std::string, ZkTopic>& topics() const { return topics_; }
  std::map<std::string, ZkTopic>& topics() { return topics_; }
  ZkTopic* topic(const std::string& name);
  ZkTopic* topic(TopicId id);
  // Requires: no topic of that name is known. Partitions are non_existent, replicas too.
  ZkTopic& add_topic(const std::string& name, const znodes::TopicValue& value,
                     std::int32_t version);
  // Partitions that the value has beyond those that are known, and its moves.
  std::vector<PartitionRef> extend(ZkTopic& topic, const znodes::TopicValue& value,
                                   std::int32_t version);
  void remove_topic(const std::string& name);
  std::size_t partition_count() const { return partition_count_; }
  // What a list of all topics' names takes in jute.
  std::size_t names_bytes() const { return names_bytes_; }

  // Registered and not shutting down: may lead.
  bool is_eligible(NodeId broker) const {
    return brokers.contains(broker) && !shutting_down.contains(broker);
  }
  bool is_live(NodeId broker) const { return brokers.contains(broker); }
  std::vector<NodeId> live_brokers() const;

  const std::vector<NodeId>& replicas(const ZkPartition& partition) const {
    return lists.at(partition.replicas);
  }
  const std::vector<NodeId>& isr(const ZkPartition& partition) const {
    return lists.at(partition.isr);
  }
  // Requires: the broker has a replica of the partition.
  ReplicaState& state_of(const ReplicaRef& replica);
  void set_replicas(PartitionRef partition, const std::vector<NodeId>& replicas);

  // In the form that the rules of elections know, and back. `version` is what the znode has now.
  // The leader that is noted has not come back since.
  metadata::Partition partition_of(PartitionRef ref) const;
  void note_state(PartitionRef ref, const znodes::StateValue& state, std::int32_t version);

  void for_each(const std::function<void(PartitionRef)>& visit);
  std::vector<PartitionRef> partitions_of(ZkTopic& topic);
  std::vector<ReplicaRef> replicas_of(PartitionRef partition) const;
  std::vector<ReplicaRef> replicas_on(const std::set<NodeId>& brokers_meant);

 private:
  std::map<std::string, ZkTopic> topics_;
  std::unordered_map<TopicId, ZkTopic*> by_id_;
  std::uint32_t last_number_ = 0;
  std::size_t partition_count_ = 0;
  std::size_t names_bytes_ = 0;
};

}  // namespace qlab::controller
