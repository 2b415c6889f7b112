#pragma once
// The group as KRaft's model sees it, and the judgement of one step: kraft_model.cc takes what came
// in, hard_state.cc judges epochs, votes and leaders, log.cc the log and its voters, sent.cc what a
// node says to others.

#include <set>

#include "consensus/model/model.h"
#include "consensus/model/replica.h"
#include "raft/kraft/messages.h"
#include "raft/kraft/model/rules.h"

namespace qlab::raft::kraft::model {

namespace in = consensus::in;
namespace out = consensus::out;
using consensus::Config;
using consensus::Effect;
using consensus::Entry;
using consensus::HardState;
using consensus::Input;
using consensus::LogId;
using consensus::ReplicaKey;
using consensus::WriteSeq;
using consensus::model::Refusal;

// A prospective is none of these: it asks, and stays what it was.
enum class Role : std::uint8_t { unattached, candidate, leader, follower, resigned };

struct Node : consensus::model::Replica {
  struct Ballot {  // The last request for votes.
    Correlation correlation;
    bool pre_vote = false;
    std::set<NodeId> granted;
  };
  struct Request {  // A Fetch, or with a snapshot a FetchSnapshot.
    Correlation correlation;
    LogId end;  // Of the asker's log.
    std::optional<LogId> snapshot;
    std::uint64_t position = 0;
  };
  struct Fetcher {  // Who has fetched from us in the epoch that we lead.
    DirectoryId directory;
    Request last;
    LogIndex match;
    std::optional<LogIndex> end_at_first;  // Of our log, when its first fetch came.
    bool caught_up = false;                // It has had all of that.
    Time contact;
  };
  Role role = Role::unattached;
  std::optional<Ballot> ballot;
  bool asks_first = false;        // It has sent pre-votes in this life.
  bool hears_leader = false;      // Its leader has answered a fetch, and was not suspected since.
  std::optional<NodeId> follows;  // The leader as last told, in this epoch.
  std::map<NodeId, std::uint32_t> links;
  std::optional<std::pair<NodeId, Request>> open;  // The request that waits for its answer.
  std::optional<out::StoreSnapshot> piece;         // Of an image, the last one kept.
  std::map<NodeId, Fetcher> fetchers;
  LogIndex epoch_start;  // Of the epoch that we lead.
  Time led_since;
  bool is_active = false;
  Config told;                                     // The last configuration announced.
  std::map<consensus::RequestId, LogIndex> reads;  // What was committed when they came.

  Time now;
  consensus::Tuning tuning;

  // In force at that index.
  const Config& config_at_index(LogIndex index) const {
    return std::prev(configs.upper_bound(index))->second;
  }
};

class KraftModel final : public consensus::model::Model {
 public:
  std::optional<Refusal> recover(ReplicaKey self, const consensus::Recovery& recovery,
                                 const consensus::LogView& log) override;
  void attend(NodeId node, Time now, const consensus::Tuning& tuning) override;
  std::optional<Refusal> step(NodeId id, const Input& input, const std::vector<Effect>& effects,
                              const consensus::Status& status) override;

 private:
  struct Heard {  // The input under judgement.
    NodeId from = no_node;
    Epoch epoch;
    Payload payload;
  };
  template <class T>
  const T* heard() const {
    return heard_ ? std::get_if<T>(&heard_->payload) : nullptr;
  }
  // What the node's leader answered to its last request, in their epoch.
  template <class T>
  const T* answer() const {
    const bool from_leader = answered_ && heard_->epoch == node_->hard.epoch &&
                             node_->hard.leader == heard_->from && node_->role == Role::follower;
    return from_leader ? heard<T>() : nullptr;
  }
  template <class... Args>
  bool require(bool holds, const Rule& rule, fmt::format_string<Args...> seen, Args&&... args) {
    if (!holds && !refusal_) {
      refusal_ = Refusal{node_->self.id, rule, fmt::format(seen, std::forward<Args>(args)...)};
    }
    return holds;
  }
  bool leads() const { return node_->role == Role::leader; }
  LogIndex group_commit() const { return consensus::model::last_index(committed_); }

  // kraft_model.cc
  void take(const Input& input);
  void take(const in::Receive& receive);
  void take_vote();
  void take_answer();
  void take_fetch();
  void check_after(const Input& input, const consensus::Status& status);
  void check_adopted();
  void check_quorum();
  void check(const out::LeaderKnown& effect);
  void check(const out::ElectionStarted&);
  void check(const out::Activate& effect);
  void check(const out::Deactivate&) { node_->is_active = false; }
  void check(const out::Outcome& effect);
  void check(const out::ReadReady& effect);
  template <class T>
  void check(const T&) {}  // Says nothing that others rely on.

  // hard_state.cc
  void check(const out::SaveHardState& effect);
  void check_new_epoch(const HardState& next);
  void check_vote(const HardState& next);
  void check_leader(const HardState& next);
  void check_elected(Epoch epoch);
  bool may_campaign() const;
  bool is_for_us(DirectoryId voter) const {
    return voter == DirectoryId{} || voter == node_->self.directory;
  }
  std::optional<NodeId> named_leader() const;

  // log.cc
  void check(const out::Append& effect);
  void check(const out::Truncate& effect);
  void check(const out::StoreSnapshot& effect);
  void check(const out::InstallSnapshot& effect);
  void check(const out::Commit& effect);
  void check(const out::ConfigActive& effect);
  void check_lead_append(const std::vector<Entry>& entries);
  void check_follow_append(const std::vector<Entry>& entries);
  void check_change(const Config& next);
  void check_lead_commit(LogIndex up_to);
  void check_follow_commit(LogIndex up_to);
  void commit(LogIndex up_to);
  LogIndex fetched_by(NodeId id) const;

  // sent.cc
  void check(const out::Send& effect);
  void check_sent(const out::Send& send, const Vote& vote);
  void check_sent(const out::Send& send, const VoteResponse& response);
  void check_sent(const out::Send& send, const BeginQuorumEpoch& request);
  void check_sent(const out::Send& send, const BeginQuorumEpochResponse& response);
  void check_sent(const out::Send& send, const EndQuorumEpoch& request);
  void check_sent(const out::Send& send, const EndQuorumEpochResponse&);
  void check_sent(const out::Send& send, const Fetch& fetch);
  void check_sent(const out::Send& send, const FetchResponse& response);
  void check_sent(const out::Send& send, const FetchSnapshot& request);
  void check_sent(const out::Send& send, const FetchSnapshotResponse& response);
  void check_pre_vote_granted(const out::Send& send);
  void check_vote_granted(const out::Send& send);
  void check_response(const FetchResponse& response, const Node::Request& fetch);
  void check_leader_named(const std::optional<NodeId>& leader);
  bool check_leads(const out::Send& send);
  void check_log_durable(const out::Send& send);
  bool is_durable(const out::Send& send, const Rule& rule);

  Config configured_;
  std::map<NodeId, Node> nodes_;
  std::map<Epoch, ReplicaKey> leaders_;
  consensus::model::Log committed_;
  Node* node_ = nullptr;  // Of the step under judgement.
  std::optional<Heard> heard_;
  std::optional<Node::Request> answered_;     // The request that it answers.
  const in::SnapshotChunk* chunk_ = nullptr;  // The input, if it was one.
  std::optional<Refusal> refusal_;
};

// Whether the replica votes in the configuration.
bool is_voter(const Config& config, ReplicaKey replica);
// The largest epoch in the log that is not beyond `epoch`, and its last entry.
LogId end_of_epoch(const consensus::model::Log& log, Epoch epoch);

}  // namespace qlab::raft::kraft::model
