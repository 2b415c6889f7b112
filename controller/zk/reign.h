#pragma once
// What the active zk controller knows and does, from its election to the end of its office.
//
// All but create_topics() and delete_topics() runs as events, one at a time. Each function changes
// the znodes first, under a check of /controller_epoch, then what is known here, and last tells the
// brokers. Errors of all: not_leader, another controller was elected; closed, the session is over;
// either ends the reign.
//
// The parts: take_over.cc (failover), partition_machine.cc and replica_machine.cc (Kafka's state
// machines), broker_changes.cc, topic_changes.cc, topic_creation.cc, topic_deletion.cc,
// isr_changes.cc, reassignment.cc, administration.cc, config_changes.cc. Source: Kafka 3.9,
// KafkaController and what it is made of.

#include <functional>
#include <memory>
#include <string>

#include "controller/config_rules.h"
#include "controller/controller.h"
#include "controller/election.h"
#include "controller/topic_rules.h"
#include "controller/zk/broker_channels.h"
#include "controller/zk/context.h"
#include "controller/zk/options.h"
#include "controller/zk/request_batch.h"
#include "controller/zk/session.h"
#include "wire/kafka/alter_configs.h"
#include "wire/kafka/alter_partition_reassignments.h"
#include "wire/kafka/create_partitions.h"
#include "wire/kafka/elect_leaders.h"
#include "wire/kafka/incremental_alter_configs.h"
#include "wire/kafka/list_partition_reassignments.h"
#include "wire/kafka/stop_replica.h"

namespace qlab::controller {

// How a leader is found (Kafka's PartitionLeaderElectionStrategy).
enum class Election : std::uint8_t { offline, unclean, preferred, controlled_shutdown };

class Reign {
 public:
  using Work = std::function<Task<Result<void>>(Reign& reign)>;
  // Queues an event of this reign.
  using Post = std::function<void(std::string name, Work work)>;
  struct Office {
    std::int32_t epoch = 0;
    std::int32_t epoch_version = 0;  // Of /controller_epoch.
  };

  Reign(runtime::Runtime& runtime, std::shared_ptr<Session> session, const ZkOptions& options,
        Send send, Office office, Post post, runtime::Gate& gate);
  // From here on no broker hears of it and no waiting call goes on.
  void end();

  const Office& office() const { return office_; }
  bool is_active() const { return is_active_; }
  const Context& context() const { return context_; }

  // Reads the cluster back, starts the state machines, goes on with what was left undone.
  Task<Result<void>> take_over();

  // A watch fired.
  Task<Result<void>> on_brokers_changed();
  Task<Result<void>> on_topics_changed();
  Task<Result<void>> on_topic_modified(std::string name);
  Task<Result<void>> on_deletions_changed();
  // A broker answered a StopReplica that deletes.
  Task<Result<void>> on_replicas_deleted(NodeId broker, std::vector<TopicPartition> asked,
                                         wire::StopReplicaResponse response);

  Task<Result<std::vector<AlterationOutcome>>> alter_partition(AlterPartition request);
  // Returns what the broker leads still and others could not take over.
  Task<Result<std::vector<TopicPartition>>> shut_down(NodeId broker, BrokerEpoch epoch);
  Task<Result<ProducerIdBlock>> allocate_producer_ids(NodeId broker, BrokerEpoch epoch);
  // The preferred leaders, where too many partitions of a broker are led by others.
  Task<Result<void>> rebalance();
  // Topics that are to be deleted, as far as their brokers are there.
  Task<Result<void>> resume_deletions();
  Task<Result<Bytes>> administer(wire::ApiKey api, Bytes request);

  // Written by the caller's own turn, as Kafka's AdminManager does, and decided once the watch has
  // told of them. Errors also: timed_out.
  Task<Result<std::vector<TopicOutcome>>> create_topics(std::vector<NewTopic> topics,
                                                        bool validate_only, Time deadline);
  Task<Result<std::vector<TopicOutcome>>> delete_topics(std::vector<std::string> names,
                                                        Time deadline);

 private:
  using Partitions = std::vector<PartitionRef>;
  using Replicas = std::vector<ReplicaRef>;

  // Reading.
  Task<Result<void>> read_brokers();
  Task<Result<void>> read_topics(std::vector<std::string> names);
  Task<Result<void>> read_states(Partitions partitions);
  Task<Result<void>> read_deletions();
  // Those that are gone already are deleted, too.
  Task<Result<void>> delete_all(std::vector<std::string> paths);
  Task<Result<std::map<NodeId, LiveBroker>>> registered_brokers();

  // PartitionStateMachine. Each transition checks the states it may come from.
  Task<Result<void>> start_partitions();
  void to_new(const Partitions& partitions);
  Task<Result<void>> to_online(Partitions partitions, Election how);
  void to_offline(const Partitions& partitions);
  Task<Result<void>> elect_offline_and_new();
  Task<Result<void>> create_states(Partitions partitions);
  Task<Result<void>> elect(Partitions partitions, Election how);
  Task<Result<void>> write_states(const Partitions& partitions,
                                  std::vector<znodes::StateValue> states, Partitions& written,
                                  Partitions& outdated,
                                  std::optional<KeeperRequest> check = std::nullopt);
  std::optional<Partition> elected(const Partition& before, Election how, bool unclean) const;
  Task<Result<std::set<std::string>>> unclean_topics(Partitions partitions);

  // ReplicaStateMachine.
  Task<Result<void>> start_replicas();
  void to_new(const Replicas& replicas);
  void to_online(const Replicas& replicas);
  Task<Result<void>> to_offline(Replicas replicas);
  void to_deletion_started(const Replicas& replicas);
  void set_states(const Replicas& replicas, ReplicaState state);
  Task<Result<void>> remove_from_isrs(Replicas replicas);

  Task<Result<void>> on_brokers_started(std::set<NodeId> started);
  Task<Result<void>> on_brokers_failed(std::set<NodeId> failed);
  Task<Result<void>> on_replicas_offline(Replicas replicas);
  Task<Result<void>> on_new_partitions(Partitions partitions);
  Task<Result<void>> bring_to_life(Partitions partitions);

  // Calls of clients and brokers.
  struct TopicPlan;
  struct Asked {  // By one request so far.
    std::set<std::string> names;
    std::int64_t partitions = 0;
  };
  std::optional<Refusal> check_topic(const NewTopic& topic, const Asked& asked) const;
  std::optional<Refusal> plan_topic(const NewTopic& topic, TopicPlan& plan);
  Task<Result<void>> write_topics(std::vector<TopicPlan>& plans);
  Task<Result<void>> settle_doubts(std::vector<TopicPlan*> plans);
  Task<Result<void>> until_settled(const std::vector<TopicPlan>& plans, Time deadline);
  wire::KafkaError check_alteration(NodeId leader, const PartitionAlteration& wanted,
                                    const Partition& now) const;

  std::optional<Refusal> check_size(const std::string& topic, std::size_t value_bytes) const;
  std::vector<NodeId> eligible_brokers() const;

  // Administration.
  std::optional<PartitionRef> find(const std::string& topic, PartitionIndex index);
  Task<Result<wire::ElectLeadersResponse>> elect_leaders(wire::ElectLeadersRequest request);
  std::optional<Refusal> check_election(PartitionRef ref, bool unclean) const;
  Task<Result<wire::CreatePartitionsResponse>> create_partitions(
      wire::CreatePartitionsRequest request);
  std::optional<Refusal> plan_growth(const wire::CreatePartitionsRequest::Topic& wanted,
                                     znodes::TopicValue& value);
  Task<Result<wire::AlterConfigsResponse>> alter_configs(wire::AlterConfigsRequest request);
  Task<Result<wire::IncrementalAlterConfigsResponse>> alter_configs(
      wire::IncrementalAlterConfigsRequest request);
  template <class Response, class Request>
  Task<Result<Response>> alter_all_configs(Request request, bool replaces_all);
  Task<Result<std::optional<Refusal>>> alter_config(std::string entity,
                                                    std::vector<ConfigEdit> edits,
                                                    bool replaces_all, bool validate_only);
  Task<Result<void>> forget_old_changes();
  tl::expected<std::string, Refusal> entity_of(std::int8_t type, const std::string& name);

  // Reassignments.
  struct PartitionMove {
    PartitionRef partition;
    Partition after;
  };
  Task<Result<wire::AlterPartitionReassignmentsResponse>> reassign(
      wire::AlterPartitionReassignmentsRequest request);
  wire::ListPartitionReassignmentsResponse list_moves(
      const wire::ListPartitionReassignmentsRequest& request) const;
  // Returns those that are done: not what another wrote at the same moment.
  Task<Result<Partitions>> move(std::vector<PartitionMove> moves);
  bool is_as_written(const ZkPartition& partition, const znodes::StateValue& state) const;
  void note_move(PartitionRef ref, const Partition& after);
  Task<Result<void>> finish_moves(Partitions partitions);
  Task<Result<void>> resume_moves();
  znodes::TopicValue value_of(const ZkTopic& topic) const;
  Task<Result<void>> write_topics(std::vector<std::pair<ZkTopic*, znodes::TopicValue>> topics);
  ElectionRules move_rules() const;

  // TopicDeletionManager.
  Task<Result<void>> begin_deletions(std::vector<ZkTopic*> topics);
  Task<Result<void>> complete_deletions(std::vector<std::string> names);

  Result<const LiveBroker*> known(NodeId broker, BrokerEpoch epoch) const;
  // A check that the registration stands when a request is carried out. Errors also: fenced.
  Task<Result<KeeperRequest>> pin(NodeId broker, BrokerEpoch epoch);
  void tell_states(std::vector<AlterationOutcome>& outcomes);
  // They and all live brokers are in the next sending of metadata.
  void tell_all(const Partitions& partitions);
  // The next sending says that there are no topics but those that were told of, so that brokers
  // drop what they have of others. Not said by who could not read some topic.
  void tell_that_is_all();
  void send_batch();
  void tell_replicas(PartitionRef ref);
  void note_deleted(NodeId broker, std::vector<TopicPartition> asked, ByteView response);
  KeeperRequest fence(KeeperRequest request,
                      std::optional<KeeperRequest> check = std::nullopt) const {
    return fenced(office_.epoch_version, std::move(request), std::move(check));
  }
  Eligible eligible() const {
    return [this](NodeId broker) { return context_.is_eligible(broker); };
  }
  // A number of states that are about to be written, and that are.
  struct Batch {
    std::int64_t number = 0;
    std::int64_t states = 0;
    std::int64_t leaders = 0;  // That change.
    std::int64_t bytes = 0;
  };
  Batch trace_decided(const Partitions& partitions, const std::vector<znodes::StateValue>& states);
  void trace_committed(const Batch& batch, const Partitions& written);

  runtime::Runtime& runtime_;
  const std::shared_ptr<Session> session_;
  const ZkOptions& options_;
  const Office office_;
  const Post post_;
  BrokerChannels channels_;
  Context context_;
  RequestBatch batch_;
  std::int64_t read_bytes_ = 0;  // Of values, since it was told last.
  std::int64_t batches_ = 0;
  std::int64_t states_written_ = 0;
  RequestCounts sent_;            // Until it took office.
  std::size_t names_coming_ = 0;  // What names that are being written take in a list, in bytes.
  bool is_active_ = false;
  bool is_over_ = false;
  bool knows_all_topics_ = true;             // Each topic's znode could be read.
  std::shared_ptr<runtime::Event> decided_;  // A topic came, went, or the reign ended.
};

}  // namespace qlab::controller
