#pragma once
// controller.h for the quorum design: every call goes to the node that leads the metadata group, be
// it this one.
//
// The same object answers the calls of other nodes. Between nodes a call is a message and its reply
// another (calls.h); a broken link ends the calls that wait on it.
//
// Thread: the home shard.

#include <map>
#include <memory>

#include "controller/controller.h"
#include "controller/quorum/active_controller.h"
#include "controller/quorum/calls.h"
#include "controller/quorum/metadata_machine.h"
#include "runtime/transport.h"

namespace qlab::controller {

class RoutedController : public Controller {
 public:
  // `active`: null on a node that only observes.
  RoutedController(runtime::Runtime& runtime, NodeId self, const MetadataMachine& machine,
                   ActiveController* active);

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

  // What the transport brings for channels controller_call and controller_reply. Garbage is
  // dropped.
  void on_call(NodeId from, Bytes payload);
  void on_reply(NodeId from, Bytes payload);
  void on_link_down(NodeId peer);

  // Ends all calls with closed and waits for those that it is answering.
  Task<void> stop();

 private:
  enum class Repeat : std::uint8_t {
    safe,
    unsafe
  };  // May a call of unknown outcome be made again?
  struct Pending {
    NodeId to;
    runtime::Completion<Result<Bytes>> reply;
  };

  Task<Result<Bytes>> call(std::int16_t api_key, Bytes body, Repeat repeat, Time deadline);
  Task<Result<Bytes>> call_node(NodeId node, std::int16_t api_key, Bytes body, Time deadline);
  Task<Result<Bytes>> serve(std::int16_t api_key, Bytes body);
  Task<void> answer(NodeId to, Call call);
  void finish(std::uint64_t id, Result<Bytes> reply);

  runtime::Runtime& runtime_;
  NodeId self_;
  const MetadataMachine& machine_;
  ActiveController* active_;
  std::map<std::uint64_t, Pending> pending_;
  std::uint64_t last_call_ = 0;
  bool stopped_ = false;
  runtime::Gate gate_;
};

}  // namespace qlab::controller
