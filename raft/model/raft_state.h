#pragma once
// The group as Raft's model sees it, and the judgement of one step: what a node does to itself in
// raft_model.cc, what it says to others in sent.cc.

#include <set>

#include "consensus/model/model.h"
#include "consensus/model/replica.h"
#include "raft/messages.h"
#include "raft/model/rules.h"

namespace qlab::raft::model {

namespace in = consensus::in;
namespace out = consensus::out;
using consensus::Config;
using consensus::Effect;
using consensus::Entry;
using consensus::HardState;
using consensus::Input;
using consensus::LogId;
using consensus::model::Refusal;
using consensus::model::Replica;

struct Node : Replica {
  enum class Role : std::uint8_t { follower, candidate, leader };
  struct Ack {
    DirectoryId directory;
    LogIndex match;
  };
  Role role = Role::follower;
  std::map<NodeId, DirectoryId> votes;             // Granted to us in this term.
  std::map<NodeId, Ack> acks;                      // Of our followers in this term.
  LogIndex epoch_start;                            // Of the term we lead.
  std::map<consensus::RequestId, LogIndex> reads;  // What was committed when they came.
};

class RaftModel final : public consensus::model::Model {
 public:
  std::optional<Refusal> recover(consensus::ReplicaKey self, const consensus::Recovery& recovery,
                                 const consensus::LogView& log) override;
  std::optional<Refusal> step(NodeId id, const Input& input, const std::vector<Effect>& effects,
                              const consensus::Status& status) override;

 private:
  // The input under judgement.
  struct Heard {
    NodeId from = no_node;
    Epoch epoch;
    Payload payload;
  };
  template <class T>
  const T* heard() const {  // A message of the node's own term, if it was one.
    if (!heard_ || heard_->epoch != node_->hard.epoch) return nullptr;
    return std::get_if<T>(&heard_->payload);
  }
  template <class... Args>
  bool require(bool holds, const Rule& rule, fmt::format_string<Args...> seen, Args&&... args) {
    if (!holds && !refusal_) {
      refusal_ = Refusal{node_->self.id, rule, fmt::format(seen, std::forward<Args>(args)...)};
    }
    return holds;
  }
  bool leads() const { return node_->role == Node::Role::leader; }
  LogIndex group_commit() const { return consensus::model::last_index(committed_); }

  void take(const in::Receive& input);
  void check(const out::SaveHardState& effect);
  void check(const out::Append& effect);
  void check(const out::Truncate& effect);
  void check(const out::InstallSnapshot& effect);
  void check(const out::StoreSnapshot& effect) { node_->store(effect.seq); }
  void check(const out::Commit& effect);
  void check(const out::LeaderKnown& effect);
  void check(const out::Activate& effect);
  void check(const out::ConfigActive& effect);
  void check(const out::Outcome& effect);
  void check(const out::ReadReady& effect);
  void check(const out::Send& effect);
  template <class T>
  void check(const T&) {}  // Says nothing that others rely on.

  void check_vote(const HardState& state);
  void check_lead_append(const std::vector<Entry>& entries);
  void check_change(const Config& next);
  void check_lead_commit(LogIndex up_to);
  void check_follow_commit(LogIndex up_to);
  void commit(LogIndex up_to);

  void check_sent(const out::Send& send, Epoch epoch, const VoteRequest& request);
  void check_sent(const out::Send& send, Epoch epoch, const VoteReply& reply);
  void check_sent(const out::Send& send, Epoch epoch, const AppendRequest& request);
  void check_sent(const out::Send& send, Epoch epoch, const AppendReply& reply);
  void check_sent(const out::Send& send, Epoch epoch, const Heartbeat& heartbeat);
  void check_sent(const out::Send& send, Epoch epoch, const HeartbeatReply&);
  void check_sent(const out::Send& send, Epoch epoch, const SnapshotRequest& request);
  void check_sent(const out::Send& send, Epoch epoch, const SnapshotReply&);
  void check_sent(const out::Send& send, Epoch epoch, const TimeoutNow&);
  template <class T>
  void check_sent(const out::Send&, Epoch epoch, const T&) {
    check_term(epoch);
  }
  void check_term(Epoch epoch) {
    require(epoch == node_->hard.epoch, message_term, "{} in {}", epoch, node_->hard.epoch);
  }
  void check_term_durable(const out::Send& send) {
    require(node_->hard_state_after(send.after) == node_->hard, term_durable, "after write {}",
            send.after);
  }
  void note_witnesses(const Config& config);
  bool is_witness(NodeId id) const;
  LogIndex acked_by(NodeId id) const;

  Config configured_;
  std::map<NodeId, Node> nodes_;
  std::map<Epoch, NodeId> leaders_;
  consensus::model::Log committed_;
  std::set<NodeId> witnesses_;  // Whoever is or was one.
  Node* node_ = nullptr;        // Of the step under judgement.
  std::optional<Heard> heard_;
  bool is_timer_ = false;
  std::optional<Refusal> refusal_;
};

}  // namespace qlab::raft::model
