#pragma once
// The group as ZAB's model sees it, and the judgement of one step: what a node does to itself in
// zab_model.cc, to enter an epoch in phases.cc, in membership.cc; what it says to others in sent.cc
// and told.cc; what it hears in heard.cc.

#include "consensus/model/model.h"
#include "zab/messages.h"
#include "zab/model/rules.h"
#include "zab/model/zab_node.h"

namespace qlab::zab::model {

namespace in = consensus::in;
namespace out = consensus::out;
using consensus::Effect;
using consensus::HardState;
using consensus::Input;
using consensus::model::Refusal;

class ZabModel final : public consensus::model::Model {
 public:
  explicit ZabModel(std::uint64_t counter_max) : counter_max_(counter_max) {}

  std::optional<Refusal> recover(consensus::ReplicaKey self, const consensus::Recovery& recovery,
                                 const consensus::LogView& log) override;
  std::optional<Refusal> step(NodeId id, const Input& input, const std::vector<Effect>& effects,
                              const consensus::Status& status) override;

 private:
  struct Heard {
    NodeId from = no_node;
    std::uint32_t link = 0;
    Epoch epoch;
    Payload payload;
  };
  // Of an epoch that somebody leads.
  struct Begun {
    NodeId leader;
    Log history;
    bool is_established = false;
  };
  template <class... Args>
  bool require(bool holds, const Rule& rule, fmt::format_string<Args...> seen, Args&&... args) {
    if (!holds && !refusal_) {
      refusal_ = Refusal{node_->self.id, rule, fmt::format(seen, std::forward<Args>(args)...)};
    }
    return holds;
  }
  bool serves() const { return node_->lead && node_->lead->is_established; }
  LogIndex group_commit() const { return consensus::model::last_index(committed_); }
  // The input, if it is a T of the session we learn in.
  template <class T>
  const T* heard() const {
    if (!heard_ || !node_->session) return nullptr;
    const Session& session = *node_->session;
    const T* message = std::get_if<T>(&heard_->payload);
    const bool ours = message != nullptr && heard_->from == session.leader &&
                      session.link == heard_->link && session.epoch == heard_->epoch &&
                      session.number == message->session;
    return ours ? message : nullptr;
  }
  template <class T>
  Learner* learner_of(const T& message);

  // heard.cc
  void take(const in::Receive& input);
  void hear(const Notification& notification);
  void hear(const FollowerInfo& info);
  void hear(const LeaderInfo& info);
  void hear(const AckEpoch& ack);
  void hear(const AckNewLeader& ack);
  void hear(const Ack& ack);
  void hear(const PingReply& reply);
  void hear(const UpToDate& message);
  void hear(const Commit& message);
  void hear(const CommitAndActivate& message);
  void hear(const Inform& message);
  template <class T>
  void hear(const T&) {}  // Changes nothing until its effects do.

  // zab_model.cc
  void check(const out::Append& effect);
  void check(const out::Truncate& effect);
  void check(const out::StoreSnapshot& effect);
  void check(const out::InstallSnapshot& effect);
  void check(const out::Commit& effect);
  void check(const out::Outcome& effect);
  void check(const out::ReadReady& effect);
  template <class T>
  void check(const T&) {}  // Says nothing that others rely on.
  void check_propose(const std::vector<Entry>& entries);
  void check_accept(const std::vector<Entry>& entries);
  void check_lead_commit(LogIndex up_to);
  void check_learn_commit(LogIndex up_to);
  void commit(LogIndex up_to);
  void check_status(const consensus::Status& status);

  // phases.cc
  void check(const out::Trace& effect);
  void check(const out::SaveHardState& effect);
  void check(const out::LeaderKnown& effect);
  void check(const out::Activate& effect);
  void check(const out::Deactivate& effect);
  void decide(NodeId leader);
  void check_proposed(Epoch epoch);
  void check_accepted(Epoch epoch);
  void begin_epoch(Epoch epoch);
  void enter_epoch(Epoch epoch);
  void check_history(Epoch epoch);

  // membership.cc
  bool is_quorum(const std::function<bool(NodeId)>& says_yes) const;
  bool is_voter(NodeId id) const;
  bool is_synced(NodeId id) const;
  const Config& config_at(LogIndex index) const;
  bool knows(LogId at, const Config& config) const;
  void check_change(const Config& next);
  void check(const out::ConfigActive& effect);

  // sent.cc, told.cc
  void check(const out::Send& effect);
  void check_vote(std::uint64_t round, const Vote& vote);
  Learner* receiver(const out::Send& send, SessionNumber session);
  Learner* syncing(const out::Send& send, SessionNumber session);
  Learner* forwarded(const out::Send& send, SessionNumber session);
  bool check_learner(const out::Send& send, SessionNumber session);
  void check_run(Learner& learner, LogId previous, const std::vector<Entry>& entries);
  void check_sent(const out::Send& send, const Notification& notification);
  void check_sent(const out::Send& send, const FollowerInfo& info);
  void check_sent(const out::Send& send, const LeaderInfo& info);
  void check_sent(const out::Send& send, const AckEpoch& ack);
  void check_sent(const out::Send& send, const Trunc& trunc);
  void check_sent(const out::Send& send, const Diff& diff);
  void check_sent(const out::Send& send, const Snap& snap);
  void check_sent(const out::Send& send, const SnapAck& ack);
  void check_sent(const out::Send& send, const NewLeader& announced);
  void check_sent(const out::Send& send, const AckNewLeader& ack);
  void check_sent(const out::Send& send, const UpToDate& message);
  void check_sent(const out::Send& send, const Proposal& proposal);
  void check_sent(const out::Send& send, const Ack& ack);
  void check_sent(const out::Send& send, const Commit& commit);
  void check_sent(const out::Send& send, const CommitAndActivate& message);
  void check_sent(const out::Send& send, const Inform& inform);
  void check_sent(const out::Send& send, const Ping& ping);
  void check_sent(const out::Send& send, const PingReply& reply);

  const std::uint64_t counter_max_;
  Config configured_;
  std::map<NodeId, Node> nodes_;
  std::map<Epoch, Begun> epochs_;
  Log committed_;
  Node* node_ = nullptr;  // Of the step under judgement.
  std::optional<Heard> heard_;
  const in::Propose* proposes_ = nullptr;
  bool is_accepted_ = false;  // An epoch, in this step.
  std::optional<Refusal> refusal_;
};

}  // namespace qlab::zab::model
