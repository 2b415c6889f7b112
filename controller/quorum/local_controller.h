#pragma once
// controller.h on the node that decides: its active controller, while it is active. Whoever it is
// not, it refuses with not_leader.
//
// Thread: the home shard.

#include "controller/quorum/active_controller.h"
#include "controller/quorum/metadata_machine.h"

namespace qlab::controller {

class LocalController final : public Controller {
 public:
  // `active`: null on a node that only observes.
  LocalController(NodeId self, const MetadataMachine& machine, ActiveController* active)
      : self_(self), machine_(machine), active_(active) {}

  Task<Result<BrokerEpoch>> register_broker(Registration registration, Time deadline) override;
  Task<Result<HeartbeatReply>> heartbeat(Heartbeat heartbeat, Time deadline) override;
  Task<Result<std::vector<TopicOutcome>>> create_topics(std::vector<NewTopic> topics,
                                                        bool validate_only, Time deadline) override;
  Task<Result<std::vector<TopicOutcome>>> delete_topics(std::vector<std::string> names,
                                                        Time deadline) override;
  Task<Result<std::vector<AlterationOutcome>>> alter_partition(AlterPartition request,
                                                               Time deadline) override;
  Task<Result<ProducerIdBlock>> allocate_producer_ids(NodeId broker, BrokerEpoch epoch,
                                                      Time deadline) override;
  Task<Result<Bytes>> administer(wire::ApiKey api, Bytes request, Time deadline) override;
  std::optional<NodeId> active() const override { return machine_.leader(); }

 private:
  Result<void> check_active() const;

  const NodeId self_;
  const MetadataMachine& machine_;
  ActiveController* active_;
};

}  // namespace qlab::controller
