#pragma once
// What a broker asks of whoever decides, whichever design that is (quorum, zk).
//
// Calls reach the active controller wherever it is; the implementation finds it, waits for one to
// appear, and retries what is safe to retry until the deadline. Decisions come back to brokers as
// metadata images (metadata/publisher.h), and an answer here means: decided and committed, not yet
// that this broker's image shows it.
//
// Thread: the home shard.

#include <optional>
#include <string>
#include <vector>

#include "common/ids.h"
#include "runtime/network.h"
#include "runtime/runtime.h"
#include "wire/kafka/apis.h"
#include "wire/kafka/errors.h"

namespace qlab::controller {

using runtime::Task;

struct Registration {
  NodeId broker;
  DirectoryId directory;       // Of the data directory: another one is another incarnation's disk.
  Uuid incarnation;            // One per process life.
  runtime::Endpoint endpoint;  // Of the Kafka protocol, as clients reach it.
  std::string rack;            // broker.rack; empty: none.
  // Of the registration before it, when that one's process stopped in order and left all of its
  // logs durable; else -1 (KIP-966).
  BrokerEpoch previous_epoch{-1};
};

struct Heartbeat {
  NodeId broker;
  BrokerEpoch epoch;
  LogIndex metadata_offset;  // Last metadata entry applied by this broker.
  bool want_fence = false;
  bool want_shutdown = false;
};
struct HeartbeatReply {
  bool caught_up = false;
  bool fenced = true;
  bool may_shut_down = false;
};

struct NewTopic {
  std::string name;
  std::int32_t partitions = -1;  // -1: the cluster's default.
  std::int16_t replication_factor = -1;
  std::vector<std::vector<NodeId>> assignment;  // Per partition; empty: the controller places them.
  std::vector<std::pair<std::string, std::optional<std::string>>> configs;
};
struct TopicOutcome {
  std::string name;
  TopicId id;
  wire::KafkaError error = wire::KafkaError::none;
  std::string message;  // For people, when there is an error.
  std::int32_t partitions = 0;
  std::int16_t replication_factor = 0;
};

struct PartitionAlteration {
  TopicId topic_id;
  PartitionIndex partition;
  LeaderEpoch leader_epoch;
  std::int32_t partition_epoch = 0;  // The one the proposal is based on: compare and swap.
  std::vector<NodeId> new_isr;
  // Of the registrations that the leader knows, one per member (KIP-903); empty: not known.
  std::vector<BrokerEpoch> isr_epochs = {};
  // The broker leads the partition's consensus group, and wants to lead the partition
  // (ControllerOptions::groups_lead).
  bool claims_leadership = false;
};
struct AlterPartition {
  NodeId broker;
  BrokerEpoch epoch;
  std::vector<PartitionAlteration> partitions;
};
struct AlterationOutcome {
  TopicId topic_id;
  PartitionIndex partition;
  wire::KafkaError error = wire::KafkaError::none;
  NodeId leader = no_node;
  LeaderEpoch leader_epoch;
  std::int32_t partition_epoch = 0;
  std::vector<NodeId> isr;
};

struct ProducerIdBlock {
  ProducerId first;
  std::int32_t count = 0;
};

// Errors of every call: timed_out (nobody answered before the deadline; the outcome is unknown),
// not_leader (the controller moved and the call may not be repeated), invalid, fenced (stale broker
// epoch), closed.
class Controller {
 public:
  virtual ~Controller() = default;
  virtual Task<Result<BrokerEpoch>> register_broker(Registration registration, Time deadline) = 0;
  virtual Task<Result<HeartbeatReply>> heartbeat(Heartbeat heartbeat, Time deadline) = 0;
  virtual Task<Result<std::vector<TopicOutcome>>> create_topics(std::vector<NewTopic> topics,
                                                                bool validate_only,
                                                                Time deadline) = 0;
  virtual Task<Result<std::vector<TopicOutcome>>> delete_topics(std::vector<std::string> names,
                                                                Time deadline) = 0;
  virtual Task<Result<std::vector<AlterationOutcome>>> alter_partition(AlterPartition request,
                                                                       Time deadline) = 0;
  virtual Task<Result<ProducerIdBlock>> allocate_producer_ids(NodeId broker, BrokerEpoch epoch,
                                                              Time deadline) = 0;
  // A call of administration (ElectLeaders, the reassignments, CreatePartitions, the configs), as
  // the protocol's own request and response, both in their highest version (administer.h).
  // Errors also: corrupt, unsupported.
  virtual Task<Result<Bytes>> administer(wire::ApiKey api, Bytes request, Time deadline) = 0;
  virtual std::optional<NodeId> active() const = 0;  // Who decides, as far as this node knows.
};

}  // namespace qlab::controller
