#pragma once
// controller.h for a node of any design: every call goes to the node that decides, be it this one.
//
// Thread: the home shard.

#include "controller/call_router.h"

namespace qlab::controller {

class RoutedController : public Controller {
 public:
  // `local` knows who decides. Requires: both outlive the calls, which the router's stop() ends.
  RoutedController(runtime::Runtime& runtime, CallRouter& router, const Controller& local)
      : runtime_(runtime), router_(router), local_(local), changed_(runtime) {}

  // Another one decides, or none: calls that wait for one look again.
  void leader_changed() { changed_.notify_all(); }

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
  std::optional<NodeId> active() const override { return local_.active(); }

 private:
  enum class Repeat : std::uint8_t {
    safe,
    unsafe
  };  // May a call of unknown outcome be made again?

  Task<Result<Bytes>> call(std::int16_t api_key, Bytes body, Repeat repeat, Time deadline);

  runtime::Runtime& runtime_;
  CallRouter& router_;
  const Controller& local_;
  runtime::Event changed_;
};

}  // namespace qlab::controller
