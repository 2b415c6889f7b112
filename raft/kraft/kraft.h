#pragma once
// KRaft (pull): Kafka's Raft, in which a follower fetches, and where its fetch begins is what it
// has durably. One class, split by role: states.cc (the six states and what leads from one to
// another), election.cc, leader.cc, fetch_server.cc and follower.cc (the two ends of a fetch),
// snapshots.cc, resignation.cc, membership.cc, reads.cc; kraft.cc holds what they share.
//
// Source: KIP-595, KIP-630, KIP-853, KIP-996; the table KIP sentence -> function -> test, and where
// this differs from Kafka, is docs/kraft.md.

#include <deque>
#include <map>
#include <set>

#include "consensus/module.h"
#include "consensus/staged_log.h"
#include "raft/kraft/messages.h"
#include "raft/kraft/proposals.h"
#include "raft/kraft/replica.h"
#include "raft/kraft/voters.h"

namespace qlab::raft::kraft {

namespace in = consensus::in;
namespace out = consensus::out;

// KIP-996 names them.
enum class State : std::uint8_t { unattached, prospective, candidate, leader, follower, resigned };
std::string_view name_of(State state);

class Kraft final : public consensus::Module {
 public:
  explicit Kraft(consensus::ModuleContext context);

  consensus::Capabilities capabilities() const override {
    return {.reads = true,
            .transfer = true,
            .reconfigure = true,
            .snapshots = true,
            .named_disks = true};
  }
  void step(Time now, const consensus::Input& input,
            std::vector<consensus::Effect>& effects) override;
  Time next_deadline() const override;
  consensus::Status status() const override;
  std::uint64_t digest() const override;
  void check_invariants() const override;

 private:
  struct PendingRead {
    consensus::RequestId request;
    LogIndex index;       // To be applied before the read is served.
    std::uint64_t round;  // A quorum must have heard of it: nobody replaced us.
  };
  struct Change {  // A reconfiguration under way: one voter at a time.
    consensus::RequestId request;
    consensus::Config target;
    LogIndex appended;  // The last step towards it; 0: none yet.
    Time deadline;      // For a voter to be to catch up.
  };
  struct Handover {      // A transfer that waits for its target to catch up.
    bool named = false;  // By who asked: no other will do.
    consensus::RequestId request;
    NodeId target;
    Time deadline;
  };
  struct Leadership {
    std::map<NodeId, Replica> replicas;
    LogIndex epoch_start;    // Our leader change.
    bool activated = false;  // epoch_start is committed.
    Time begin_due;          // When BeginQuorumEpoch is sent again to who does not fetch.
    std::uint64_t round = 0;
    std::deque<PendingRead> reads;
    std::optional<Change> change;
    std::optional<Handover> handover;
  };
  struct Resignation {
    std::vector<consensus::ReplicaKey> successors;
    std::set<NodeId> acknowledged;
    Time due;  // When EndQuorumEpoch is sent again.
  };
  struct Outstanding {  // The one request that waits for its answer.
    NodeId to;
    Correlation correlation;
    bool for_snapshot = false;
  };
  struct Download {  // An image that is fetched.
    consensus::LogId snapshot;
    std::uint64_t position = 0;  // Of the next piece.
    std::uint64_t size = 0;      // Of the whole, once the first piece has told.
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
  void on(const in::SnapshotTaken&) { voters_.forget(log_.snapshot()); }
  void on(const in::SnapshotChunk& input);
  void on(const in::SnapshotInstalled&) { installing_ = false; }

  // Shared (kraft.cc).
  void emit(consensus::Effect effect) { effects_->push_back(std::move(effect)); }
  void trace(std::string_view action, NodeId peer = no_node, std::string_view reason = {});
  void send(NodeId to, Payload payload, consensus::WriteSeq after);
  void save(consensus::HardState state);
  void append(std::vector<consensus::Entry> entries);
  void truncate(LogIndex from);
  void commit(LogIndex index);
  void answer(consensus::RequestId request, consensus::Fate fate, std::string_view reason = {});
  void set_leader(std::optional<NodeId> leader);
  void announce_config();
  Correlation next_request() { return {session_, ++requests_}; }
  const consensus::Config& config() const { return voters_.current(); }
  bool is_voter() const { return kraft::is_voter(config(), self_); }
  bool may_campaign() const { return voters_.may_campaign(self_, commit_); }
  std::set<NodeId> other_voters() const;
  Duration fetch_timeout() const;

  // states.cc
  void begin();
  void leave_state();
  void become_unattached(Epoch epoch, std::optional<consensus::ReplicaKey> vote = std::nullopt);
  void become_prospective();
  void become_candidate();
  void become_leader();
  void become_follower(Epoch epoch, NodeId leader);
  void become_resigned(std::vector<consensus::ReplicaKey> successors, std::string_view reason);
  void end_leadership();
  bool learn(NodeId from, Epoch epoch, std::optional<NodeId> leader);

  // election.cc
  void reset_election_deadline();
  void start_election(std::string_view reason);
  void lose_election();
  void on_election_timer();
  void ask_for_vote(NodeId peer);
  void count_vote(NodeId from, bool granted);
  bool yields(const consensus::ReplicaKey& asker, const Vote& vote) const;
  bool can_grant(const consensus::ReplicaKey& candidate, const Vote& vote) const;
  void handle(NodeId from, Epoch epoch, const Vote& vote);
  void handle(NodeId from, Epoch epoch, const VoteResponse& response);

  // leader.cc
  void on_leader_timer();
  void begin_epoch(NodeId peer);
  void advance_high_watermark();
  LogIndex match_of(NodeId voter) const;
  Time quorum_contact() const;
  Time quorum_deadline() const;
  Time leader_deadline() const;
  void handle(NodeId from, Epoch epoch, const BeginQuorumEpochResponse& response);

  // fetch_server.cc
  Replica* admit(NodeId from, Epoch epoch, const Correlation& correlation, DirectoryId directory);
  bool serve(NodeId peer, const Fetch& fetch, bool even_empty);
  void serve_parked(bool even_empty = false);
  bool is_compacted(consensus::LogId previous) const;
  void handle(NodeId from, Epoch epoch, const Fetch& fetch);

  // follower.cc
  void fetch();
  void fetch_later();
  void ask(NodeId leader, bool again);
  void find_leader();
  void on_follower_timer();
  bool take_answer(NodeId from, const Correlation& correlation, bool for_snapshot);
  bool is_answered_by_leader(NodeId from, Epoch epoch, std::optional<NodeId> leader);
  void suspect_leader(Duration within, std::string_view reason);
  void heard_of_leader();
  void truncate_to(NodeId leader, consensus::LogId diverging);
  void accept(NodeId leader, const FetchResponse& response);
  void handle(NodeId from, Epoch epoch, const BeginQuorumEpoch& request);
  void handle(NodeId from, Epoch epoch, const FetchResponse& response);

  // snapshots.cc
  void download(NodeId leader, consensus::LogId snapshot);
  void handle(NodeId from, Epoch epoch, const FetchSnapshot& request);
  void handle(NodeId from, Epoch epoch, const FetchSnapshotResponse& response);
  void store(NodeId leader, const FetchSnapshotResponse& response);
  void install(const consensus::SnapshotMeta& image);

  // resignation.cc
  void resign(std::string_view reason, NodeId first = no_node);
  void end_epoch(NodeId peer);
  void on_resigned_timer();
  void advance_handover();
  void settle_transfer(std::optional<NodeId> leader);
  void handle(NodeId from, Epoch epoch, const EndQuorumEpoch& request);
  void handle(NodeId from, Epoch epoch, const EndQuorumEpochResponse& response);

  // membership.cc
  void advance_change();
  void end_change(consensus::Fate fate, std::string_view reason = {});
  bool is_caught_up(const consensus::Member& member) const;

  // reads.cc
  void serve_reads();

  const consensus::ReplicaKey self_;
  const consensus::Tuning tuning_;
  consensus::StagedLog log_;
  VoterHistory voters_;
  Prng random_;
  const std::uint64_t session_;  // Names this life of the replica.
  std::uint64_t requests_ = 0;
  Time now_;
  std::vector<consensus::Effect>* effects_ = nullptr;  // Of the step under way.

  consensus::HardState hard_state_;
  State state_ = State::unattached;
  std::optional<NodeId> leader_;
  std::optional<std::pair<Epoch, std::optional<NodeId>>> announced_;  // The last LeaderKnown.
  LogIndex commit_;                                                   // KRaft's high watermark.
  std::map<NodeId, std::uint32_t> links_;                             // Our streams that are up.

  consensus::WriteSeq issued_;     // The last write asked for.
  consensus::WriteSeq written_;    // The last one known to be durable.
  consensus::WriteSeq hard_seq_;   // The last hard state write.
  consensus::WriteSeq log_seq_;    // The last write to the log.
  LogIndex durable_;               // Of our log; durable_ <= log_.last().index.
  std::deque<Unsynced> unsynced_;  // Appends on their way to the disk, ascending.

  // Unattached, prospective, candidate, resigned: when that ends.
  Time election_deadline_;
  std::string_view deadline_reason_;
  bool backing_off_ = false;         // A candidate that lost; election_deadline_ ends it.
  std::uint32_t lost_ = 0;           // Candidacies in a row.
  std::map<NodeId, bool> votes_;     // Answers to our candidacy; our own once it is durable.
  std::uint64_t election_ = 0;       // The number of the votes' correlation.
  std::optional<NodeId> suspected_;  // The leader that fell silent, until it or another answers.

  // Following, and looking for a leader as an observer.
  Time fetch_deadline_;             // Then the leader is suspected.
  Time retry_at_ = Time::max();     // When to ask again.
  std::optional<Epoch> ended_;      // The epoch that its leader has told the end of.
  bool has_fetched_ = false;        // From leader_, since we follow it: it is there.
  std::uint64_t leader_round_ = 0;  // The latest that leader_ told of.
  std::optional<Outstanding> outstanding_;
  std::optional<Download> download_;
  bool installing_ = false;  // An image, whole and asked for, until the state machine is restored.
  NodeId asked_ = no_node;   // The last voter that was asked who leads.

  std::optional<Leadership> leadership_;    // While state_ == leader.
  std::optional<Resignation> resignation_;  // While state_ == resigned.
  Proposals proposals_;
  std::optional<Handover> transfer_;  // We resigned for it, and nobody leads yet.
};

// A ModuleFactory: make_kraft(context).
std::unique_ptr<consensus::Module> make_kraft(consensus::ModuleContext context);

}  // namespace qlab::raft::kraft
