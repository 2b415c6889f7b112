#pragma once
// Raft (push), whole: elections, replication, images, membership, witnesses, transfer, reads and
// forwarding. One class, split by role over election.cc, leader.cc, replication.cc, follower.cc,
// snapshot.cc, membership.cc, witness.cc, transfer.cc, reads.cc and forwarding.cc; raft.cc holds
// what they share.
//
// Source: Ongaro, "Consensus: Bridging Theory and Practice" (2014); the table step -> function ->
// test, and what goes beyond the dissertation, is in docs/raft.md.

#include <deque>
#include <map>

#include "consensus/module.h"
#include "consensus/quorum.h"
#include "consensus/staged_log.h"
#include "raft/config_history.h"
#include "raft/leadership.h"
#include "raft/messages.h"

namespace qlab::raft {

namespace in = consensus::in;
namespace out = consensus::out;

enum class Role : std::uint8_t { follower, pre_candidate, candidate, leader };
std::string_view name_of(Role role);

class Raft final : public consensus::Module {
 public:
  explicit Raft(consensus::ModuleContext context);

  consensus::Capabilities capabilities() const override;
  void step(Time now, const consensus::Input& input,
            std::vector<consensus::Effect>& effects) override;
  Time next_deadline() const override;
  consensus::Status status() const override;
  std::uint64_t digest() const override;
  void check_invariants() const override;

 private:
  struct Unsynced {
    consensus::WriteSeq seq;
    LogIndex last;
  };
  // A leader's image on its way to us.
  struct Receiving {
    consensus::SnapshotMeta image;
    std::uint64_t position = 0;  // The next byte wanted.
    consensus::WriteSeq stored;  // Of the last piece.
    Epoch epoch;                 // Of the leader that sent it.
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
  void on(const in::SnapshotTaken&);
  void on(const in::SnapshotChunk& input);
  void on(const in::SnapshotInstalled&);

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
  bool admit_epoch(NodeId from, Epoch epoch, const Payload& payload);
  void refuse_stale(NodeId from, const Payload& payload);
  consensus::WriteSeq all_writes() const { return std::max(log_seq_, hard_seq_); }

  // election.cc
  void reset_election_deadline();
  void start_election();
  void become_pre_candidate();
  void become_candidate(bool transfer);
  void become_leader();
  void ask_for_vote(NodeId peer);
  void count_vote(NodeId from, DirectoryId directory, bool granted);
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
  bool propose(std::vector<std::shared_ptr<const Bytes>> bodies, Proposal proposal);
  void conclude(const Proposal& proposal, consensus::Fate fate);
  void advance_leader_commit();
  void lead_commit(LogIndex index);
  void on_leader_timer();
  void give_up_leadership(std::string_view reason);
  void end_leadership();
  Time quorum_contact() const;
  void handle(NodeId from, Epoch epoch, const AppendReply& reply);
  void handle(NodeId from, Epoch epoch, const HeartbeatReply& reply);
  void answer(consensus::RequestId request, consensus::Fate fate, consensus::LogId at = {},
              std::string_view reason = {});

  // replication.cc
  Progress* answers_to(NodeId from, DirectoryId directory);
  void lead_peer(NodeId peer);
  void replicate(NodeId peer, bool even_empty);
  void replicate_to_all();
  void tell_commit(NodeId peer, Progress& progress);
  void send_heartbeats();

  // witness.cc
  bool is_witness(NodeId id) const;
  LogIndex match_of(NodeId id) const;
  LogIndex stored_in_full() const;
  LogIndex stored_on_quorum() const;
  bool witnesses_stand_in() const;
  LogIndex witness_limit() const;
  void feed_witnesses();
  void strip(NodeId peer, std::vector<consensus::Entry>& entries) const;
  void note_stripped(const std::vector<consensus::Entry>& entries);
  bool is_bare() const { return bare_from_.has_value(); }
  bool takes_who_is_bare(const consensus::Config& target) const;

  // snapshot.cc
  void offer_snapshot(NodeId peer);
  void handle(NodeId from, Epoch epoch, const SnapshotRequest& request);
  void handle(NodeId from, Epoch epoch, const SnapshotReply& reply);
  bool receives(const SnapshotRequest& request, Epoch epoch);
  void install_received();

  // membership.cc
  const consensus::Config& config() const { return configs_.active(); }
  bool is_replica(NodeId id, const std::optional<DirectoryId>& directory) const;
  bool is_self(const consensus::Config& config) const;
  bool may_lead(const consensus::Config& config) const;
  bool may_campaign() const;
  bool is_alone(consensus::QuorumUse use) const;
  void note_configs(const std::vector<consensus::Entry>& entries);
  void config_changed();
  void keep_peers();
  bool is_known_as(NodeId id, DirectoryId directory) const;
  std::string_view objection_to(const consensus::Config& target) const;
  std::vector<NodeId> newcomers() const;
  void begin_round();
  void go_on_with_change();
  void append_config(consensus::Config config);
  void config_committed();
  void leave();
  void end_change();

  // transfer.cc
  NodeId best_successor() const;
  void go_on_with_handover();
  void end_handover(consensus::Fate fate, std::string_view reason);
  void handle(NodeId from, Epoch epoch, const TimeoutNow&);

  // reads.cc
  void read(PendingRead read);
  void refuse_read(const PendingRead& read);
  void serve_read(const PendingRead& read);
  void serve_reads();
  bool holds_lease() const;
  void handle(NodeId from, Epoch epoch, const ReadRequest& request);
  void handle(NodeId from, Epoch epoch, const ReadReply& reply);

  // forwarding.cc
  Ticket ask(std::map<Ticket, Question>& questions, consensus::RequestId request,
             std::uint64_t bytes);
  void forward(const in::Propose& input);
  void end_questions();
  void expire_questions();
  void handle(NodeId from, Epoch epoch, const ForwardRequest& request);
  void handle(NodeId from, Epoch epoch, const ForwardReply& reply);

  const consensus::ReplicaKey self_;
  const consensus::Tuning tuning_;
  ConfigHistory configs_;
  consensus::StagedLog log_;
  Prng random_;
  const Time started_;
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
  consensus::WriteSeq log_seq_;    // The last append, truncation or installation.
  LogIndex durable_;               // Of our log; durable_ <= log_.last().index.
  std::deque<Unsynced> unsynced_;  // Log writes on their way to the disk, ascending.

  Time election_deadline_;
  std::string_view deadline_reason_;
  Time leader_heard_;              // Last message of leader_.
  bool leader_suspected_ = false;  // Its link broke, and that counts (link_down_is_suspicion).
  Time leader_suspected_at_;
  bool transferred_ = false;      // The candidacy was asked for by the leader.
  std::map<NodeId, bool> votes_;  // Answers to our candidacy; our own once it is durable.

  std::optional<LogIndex> bare_from_;  // The first entry here without its body.
  std::optional<Receiving> receiving_;
  bool installing_ = false;  // An image is on its way to the state machine.

  std::optional<Leadership> leadership_;  // While role_ == leader.
  std::optional<Handover> handover_;      // Outlives the leadership: somebody must lead next.
  // Of a leadership lost: committed or superseded when that shows, unknown at the deadline.
  std::deque<Proposal> doubtful_;
  Time doubtful_deadline_ = Time::max();

  const std::uint64_t life_;  // Of our tickets.
  std::uint64_t tickets_ = 0;
  std::map<Ticket, Question> reads_asked_;
  std::map<Ticket, Question> forwarded_;
  std::uint64_t forwarded_bytes_ = 0;
  // The last number of each life that has forwarded to us in the epoch that we led last. Outlives
  // the leadership: a request that comes again after it may have been appended.
  std::map<std::pair<NodeId, std::uint64_t>, std::uint64_t> taken_;
};

// A ModuleFactory: make_raft(context).
std::unique_ptr<consensus::Module> make_raft(consensus::ModuleContext context);

}  // namespace qlab::raft
