#pragma once
// controller.h for ZooKeeper's design: each node has one, and each races for /controller.
//
// One session with the keeper carries the broker's registration (/brokers/ids/N, ephemeral; the
// broker's epoch is its czxid) and the office. Whoever creates /controller reads the whole cluster
// back from its znodes (reign.h), decides alone, writes nothing but under a check of
// /controller_epoch, and tells brokers by requests of its own. A session that is over takes both
// with it, and another one is begun.
//
// Thread: the home shard. Source: Kafka 3.9, KafkaController.

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "controller/controller.h"
#include "controller/zk/broker_channels.h"
#include "controller/zk/event_thread.h"
#include "controller/zk/options.h"
#include "controller/zk/session.h"

namespace qlab::controller {

class Reign;

// What the active one alone decides is `not_leader` elsewhere: all but register_broker, heartbeat
// and active(), which are of this node.
class ZkController final : public Controller {
 public:
  // `send` carries a control request to a broker; see broker_channels.h.
  ZkController(runtime::Runtime& runtime, ZkOptions options, Send send);
  ~ZkController() override;

  void start();
  // Ends the session, and with it the registration and the office. Requires: whoever calls has been
  // answered or is told by then, and what went through `send` ends.
  Task<void> stop();

  // The session's ephemeral znode. Errors also: exists, while the session of an earlier process
  // with this id lives; timed_out, when there is no session before the deadline.
  Task<Result<BrokerEpoch>> register_broker(Registration registration, Time deadline) override;
  // By this node's standing alone: fenced, when the session that registered is over; timed_out,
  // while there is no connection. `want_shutdown` asks the active controller (ControlledShutdown).
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
  // A ControlledShutdown request of a broker, and the response to it, in their one version.
  Task<Result<Bytes>> controlled_shutdown(Bytes request, Time deadline);

  // As /controller says, which is watched.
  std::optional<NodeId> active() const override { return active_; }
  // `told` is called whenever that may have changed, and when this node begins to decide.
  void on_change_of_active(std::function<void()> told) { active_changed_ = std::move(told); }
  // The node's other reader of the keeper has no session of its own: `begun` is told of each new
  // one, and `changed` when a watch on /config/changes has fired.
  void share_session(std::function<void(std::shared_ptr<Session>)> begun,
                     std::function<void()> changed) {
    session_begun_ = std::move(begun);
    configs_changed_ = std::move(changed);
  }
  // Elected, and has read the cluster back.
  bool is_active() const;
  // Of the reign that is active here.
  std::optional<std::int32_t> epoch() const;

 private:
  // The life of one session after the other.
  Task<void> run();
  void on_event(const wire::keeper::WatchEvent& event);

  // Events. Each ends at once when its session is no longer the present one.
  Task<void> greet(std::shared_ptr<Session> session);
  Task<void> elect(std::shared_ptr<Session> session);
  Task<Result<bool>> try_elect(std::shared_ptr<Session> session);
  Task<Result<void>> take_office(std::shared_ptr<Session> session, std::int32_t epoch,
                                 std::int32_t epoch_version);
  void set_active(std::optional<NodeId> active);
  Task<void> resign();
  Task<void> give_up_office();

  // What the active one does, as an event. `name` says what in a complaint.
  using Work = std::function<Task<Result<void>>(Reign& reign)>;
  void post(std::string name, Work work);
  Task<void> carry_out(std::string name, Work work);
  // The same for a call: waits for the event's end or the deadline.
  template <class T>
  Task<Result<T>> decide(std::function<Task<Result<T>>(Reign& reign)> work, Time deadline);
  template <class T>
  Task<void> answer(std::function<Task<Result<T>>(Reign& reign)> work,
                    std::shared_ptr<std::optional<Result<T>>> slot);
  Task<void> rebalance_forever();
  // What calls have read and written, since it was told last.
  void trace_traffic();

  Task<Result<BrokerEpoch>> create_registration(Registration registration);
  Task<Result<bool>> ask_to_go(BrokerEpoch epoch, Time deadline);

  runtime::Runtime& runtime_;
  const ZkOptions options_;
  const Send send_;
  std::shared_ptr<Session> session_;     // Null before the first.
  std::set<std::int64_t> old_sessions_;  // Of this process; their ephemerals are ours to remove.
  std::shared_ptr<Reign> reign_;         // From the election to the end of the office.
  std::optional<NodeId> active_;
  std::function<void()> active_changed_ = [] {};
  std::function<void(std::shared_ptr<Session>)> session_begun_ = [](const auto&) {};
  std::function<void()> configs_changed_ = [] {};
  struct Registered {
    std::int64_t session = 0;
    BrokerEpoch epoch;
  };
  std::optional<Registered> registered_;
  std::set<std::string> pending_;  // Watched changes that an event is queued for.
  bool stopping_ = false;
  EventThread events_;
  runtime::Event changed_;  // A session began or ended.
  runtime::Gate gate_;
};

}  // namespace qlab::controller
