#pragma once
// Raft (push): elections with pre-vote, check-quorum and leader stickiness; replication with
// probe/replicate flow control; read index; observers. One class, split by role over
// election.cc, leader.cc, reads.cc and follower.cc; raft.cc holds what they share.
//
// Source: Ongaro, "Consensus: Bridging Theory and Practice" (2014); the table step -> function ->
// test is in docs/consensus.md. Not here: snapshots, membership change, transfer, leases.

#include <deque>
#include <map>
#include <set>

#include "consensus/module.h"
#include "consensus/staged_log.h"
#include "raft/messages.h"
#include "raft/progress.h"
#include "raft/quorum.h"

namespace qlab::raft {

namespace in = consensus::in;
namespace out = consensus::out;

enum class Role : std::uint8_t { follower, pre_candidate, candidate, leader };
std::string_view name_of(Role role);

class Raft final : public consensus::Module {
 public:
  explicit Raft(consensus::ModuleContext context);

  consensus::Capabilities capabilities() const override { return {.reads = true}; }
  void step(Time now, const consensus::Input& input,
            std::vector<consensus::Effect>& effects) override;
  Time next_deadline() const override;
  consensus::Status status() const override;
  std::uint64_t digest() const override;
  void check_invariants() const override;

 private:
  struct Proposal {
    consensus::RequestId request;
    consensus::LogId first;  // Its entries are adjacent: [first, last].
    consensus::LogId last;
    std::uint64_t bytes;
  };
  struct PendingRead {
    consensus::RequestId request;
    LogIndex index;       // To be applied before the read is served.
    std::uint64_t round;  // A quorum must answer this heartbeat round: nobody replaced us.
  };
  struct Leadership {
    std::map<NodeId, Progress> peers;
    Time heartbeat_due;
    LogIndex epoch_start;    // Our no-op.
    bool activated = false;  // epoch_start is committed.
    std::deque<Proposal> proposals;
    std::deque<PendingRead> reads;
    std::uint64_t round = 0;
    std::uint64_t uncommitted_bytes = 0;
  };
  struct Unsynced {
    consensus::WriteSeq seq;
    LogIndex last;
  };

  void on(const in::Timer&);
  void on(const in::Receive& input);
  void on(const in::LinkUp& input);
  void on(const in::LinkDown& input);
  void on(const in::WriteDone& input);
  void on(const in::Applied&) {}
  void on(const in::Propose& input);
  void on(const in::Read& input);
  void on(const in::Reconfigure& input);
  void on(const in::Transfer& input);
  void on(const in::Resign& input);
  void on(const in::SnapshotTaken&) {}
  void on(const in::SnapshotChunk&) {}
  void on(const in::SnapshotInstalled&) {}

  // Shared (raft.cc).
  void emit(consensus::Effect effect) { effects_->push_back(std::move(effect)); }
  void trace(std::string_view action, NodeId peer = no_node, std::string_view reason = {});
  void send(NodeId to, Epoch epoch, const Payload& payload, consensus::WriteSeq after);
  void save_hard_state(Epoch epoch, std::optional<consensus::ReplicaKey> vote);
  void append(std::vector<consensus::Entry> entries);
  void truncate(LogIndex from);
  void advance_commit(LogIndex index);
  void settle_doubtful(bool out_of_time);
  void set_leader(std::optional<NodeId> leader);
  void become_follower(Epoch epoch, std::optional<NodeId> leader);
  bool is_voter(NodeId node) const { return voters_.contains(node); }
  bool admit_epoch(NodeId from, Epoch epoch, const Payload& payload);
  void give_up_leadership(std::string_view reason);

  // election.cc
  void reset_election_deadline();
  void start_election();
  void become_pre_candidate();
  void become_candidate();
  void become_leader();
  void ask_for_vote(NodeId peer);
  void count_vote(NodeId from, bool granted);
  bool hears_leader() const;
  void handle(NodeId from, Epoch epoch, const VoteRequest& request);
  void handle(NodeId from, Epoch epoch, const VoteReply& reply);

  // follower.cc
  void follow(NodeId leader);
  void handle(NodeId from, Epoch epoch, const AppendRequest& request);
  void handle(NodeId from, Epoch epoch, const Heartbeat& heartbeat);
  LogIndex accept_entries(const AppendRequest& request);
  AppendReply refuse(consensus::LogId previous) const;

  // leader.cc
  void lead_peer(NodeId peer);
  void replicate(NodeId peer, bool even_empty);
  void replicate_to_all();
  void tell_commit(NodeId peer, Progress& progress);
  void send_heartbeats();
  void advance_leader_commit();
  void on_leader_timer();
  void end_leadership();
  Time quorum_contact() const;
  void handle(NodeId from, Epoch epoch, const AppendReply& reply);
  void handle(NodeId from, Epoch epoch, const HeartbeatReply& reply);
  void answer(consensus::RequestId request, consensus::Fate fate, consensus::LogId at = {});

  // reads.cc
  void serve_reads();

  const consensus::ReplicaKey self_;
  const consensus::Tuning tuning_;
  std::set<NodeId> voters_;
  std::set<NodeId> observers_;  // Of the configuration; others are known by their links.
  consensus::StagedLog log_;
  Prng random_;
  Time now_;
  std::vector<consensus::Effect>* effects_ = nullptr;  // Of the step under way.

  consensus::HardState hard_state_;
  Role role_ = Role::follower;
  std::optional<NodeId> leader_;
  std::optional<std::pair<Epoch, std::optional<NodeId>>> announced_;  // The last LeaderKnown.
  LogIndex commit_;
  std::map<NodeId, std::uint32_t> links_;  // Our streams that are up.

  consensus::WriteSeq issued_;     // The last write asked for.
  consensus::WriteSeq hard_seq_;   // The last hard state write.
  consensus::WriteSeq log_seq_;    // The last append or truncation.
  LogIndex durable_;               // Of our log; durable_ <= log_.last().index.
  std::deque<Unsynced> unsynced_;  // Appends on their way to the disk, ascending.

  Time election_deadline_;
  std::string_view deadline_reason_;
  Time leader_heard_;              // Last message of leader_.
  bool leader_suspected_ = false;  // Its link broke, and that counts (link_down_is_suspicion).
  std::map<NodeId, bool> votes_;   // Answers to our candidacy; our own once it is durable.

  std::optional<Leadership> leadership_;  // While role_ == leader.
  // Of a leadership lost: committed or superseded when that shows, unknown at the deadline.
  std::deque<Proposal> doubtful_;
  Time doubtful_deadline_ = Time::max();
};

// A ModuleFactory: make_raft(context).
std::unique_ptr<consensus::Module> make_raft(consensus::ModuleContext context);

}  // namespace qlab::raft
