#pragma once
// ZAB: fast leader election, discovery, synchronisation, broadcast. One class, split by phase over
// fast_leader_election.cc, discovery.cc, synchronisation.cc, image_sync.cc, broadcast.cc,
// reads.cc and membership.cc; zab.cc holds what they share.
//
// Source: Junqueira, Reed, Serafini, "Zab: High-performance broadcast for primary-backup systems"
// (DSN 2011); ZooKeeper's implementation where the paper is silent; Shraer et al., "Dynamic
// Reconfiguration of Primary/Backup Clusters" (2012). The table step -> function -> test is in
// docs/zab.md.

#include <deque>
#include <map>

#include "consensus/module.h"
#include "consensus/staged_log.h"
#include "zab/configurations.h"
#include "zab/roles.h"

namespace qlab::zab {

namespace in = consensus::in;
namespace out = consensus::out;

struct ZabOptions {
  // Entries of one epoch; the leader of a full one gives up, and the next begins. As a zxid has 32
  // bits for them (ZOOKEEPER-1277).
  std::uint64_t counter_max = 0xFFFFFFFF;
};

class Zab final : public consensus::Module {
 public:
  Zab(consensus::ModuleContext context, ZabOptions options);

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
  using Votes = std::map<NodeId, Notification>;

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
  void on(const in::SnapshotInstalled&) { is_installing_ = false; }

  // Shared (zab.cc).
  void emit(consensus::Effect effect) { effects_->push_back(std::move(effect)); }
  void trace(std::string_view action, NodeId peer = no_node, std::string_view reason = {});
  void halt(std::string_view reason);
  void send(NodeId to, Epoch epoch, Payload payload, consensus::WriteSeq after = {});
  void save_hard_state(Epoch accepted, Epoch current);
  void append(std::vector<consensus::Entry> entries);
  void truncate(LogIndex from);
  void advance_commit(LogIndex index);
  void answer(consensus::RequestId request, consensus::Fate fate, consensus::LogId at = {},
              std::string_view reason = {});
  void settle_doubtful(bool out_of_time);
  void set_leader(Epoch epoch, std::optional<NodeId> leader);
  void end_leadership(std::string_view reason);
  void end_session(std::string_view reason);
  void check_link(NodeId from, std::uint32_t link);
  Session* session_with(NodeId from, SessionNumber number, Epoch epoch);
  Learner* learner_of(NodeId from, SessionNumber number, Epoch epoch);
  PeerState state() const;

  // fast_leader_election.cc
  Vote own_vote() const;
  void look(std::string_view reason);
  void begin_round(std::string_view reason);
  void vote_for(const Vote& vote);
  void notify(NodeId peer, bool is_reply = false);
  void reconsider();
  bool stands() const;
  void reply(NodeId from, const Notification& notification);
  void adopt_config(const Notification& notification);
  void notify_all();
  bool is_better(const Vote& vote, const Vote& than) const;
  bool agree_on(const Votes& votes, const Notification& on) const;
  bool says_it_leads(const Votes& votes, const Notification& on) const;
  void weigh_votes();
  void decide();
  void on_looking_timer();
  void leave_if_gone(NodeId from, const Notification& notification);
  void hear_looking(NodeId from, const Notification& notification);
  void hear_decided(NodeId from, const Notification& notification);
  void handle(NodeId from, Epoch epoch, const Notification& notification);

  // discovery.cc
  void lead();
  void follow(NodeId leader);
  void ask_to_follow();
  void accept_learner(NodeId from, std::uint32_t link, const FollowerInfo& info);
  void fix_epoch_if_quorum();
  void finish_discovery_if_quorum();
  void handle(NodeId from, Epoch epoch, const FollowerInfo& info);
  void handle(NodeId from, Epoch epoch, const LeaderInfo& info);
  void handle(NodeId from, Epoch epoch, const AckEpoch& ack);

  // synchronisation.cc
  void sync_learner(NodeId peer);
  void begin_diff(NodeId peer, consensus::LogId common);
  void feed(NodeId peer);
  void feed_history(NodeId peer, Learner& learner);
  void begin_service_if_quorum();
  void bring_up_to_date(NodeId peer, Learner& learner);
  bool accept_entries(std::string_view action, consensus::LogId previous,
                      const std::vector<consensus::Entry>& entries);
  void handle(NodeId from, Epoch epoch, const Trunc& trunc);
  void handle(NodeId from, Epoch epoch, const Diff& diff);
  void handle(NodeId from, Epoch epoch, const NewLeader& announced);
  void handle(NodeId from, Epoch epoch, const AckNewLeader& ack);
  void handle(NodeId from, Epoch epoch, const UpToDate& message);

  // image_sync.cc
  void begin_snap(NodeId peer);
  void install(const consensus::SnapshotMeta& image);
  void handle(NodeId from, Epoch epoch, const Snap& snap);
  void handle(NodeId from, Epoch epoch, const SnapAck& ack);

  // broadcast.cc
  void feed_broadcast(NodeId peer, Learner& learner);
  bool has_room_for(std::size_t entries) const;
  void feed_all();
  void advance_leader_commit();
  void tell_commit(NodeId peer, Learner& learner);
  bool is_synced(NodeId id) const;
  bool has_synced_quorum() const;
  void drop_learner(NodeId peer, std::string_view reason);
  void cut_learners(const std::vector<NodeId>& peers, std::string_view reason);
  void on_leader_timer();
  void on_learner_timer();
  Duration limit_of(const Learner& learner) const;
  void handle(NodeId from, Epoch epoch, const Proposal& proposal);
  void handle(NodeId from, Epoch epoch, const Ack& ack);
  void handle(NodeId from, Epoch epoch, const Commit& commit);
  void handle(NodeId from, Epoch epoch, const Inform& inform);

  // reads.cc
  void ping_all();
  void serve_reads();
  void handle(NodeId from, Epoch epoch, const Ping& ping);
  void handle(NodeId from, Epoch epoch, const PingReply& reply);

  // membership.cc
  bool is_quorum(const std::function<bool(NodeId)>& agrees) const;
  std::string_view objection_to(const consensus::Config& target) const;
  void note_configs(const std::vector<consensus::Entry>& entries);
  void announce_config();
  void propose_config(consensus::Config config);
  void advance_change();
  void finish_change();
  NodeId designated_leader() const;
  void handle(NodeId from, Epoch epoch, const CommitAndActivate& message);

  const consensus::ReplicaKey self_;
  const consensus::Tuning tuning_;
  const ZabOptions options_;
  const Duration init_limit_;
  const Duration sync_limit_;
  const Duration finalize_wait_;
  consensus::StagedLog log_;
  Time now_;
  std::vector<consensus::Effect>* effects_ = nullptr;  // Of the step under way.
  std::uint32_t receiving_ = 0;                        // Receive.link of the step under way.
  bool is_started_ = false;

  consensus::HardState hard_state_;
  Configurations configs_;
  std::optional<NodeId> leader_;
  std::optional<std::pair<Epoch, std::optional<NodeId>>> announced_;  // The last LeaderKnown.
  LogIndex commit_;
  std::map<NodeId, std::uint32_t> links_;  // Our streams that are up.
  std::map<NodeId, Inbound> inbound_;      // Theirs to us.

  consensus::WriteSeq issued_;     // The last write asked for.
  consensus::WriteSeq written_;    // The last one known to be durable.
  LogIndex durable_;               // Of our log; durable_ <= log_.last().index.
  std::deque<Unsynced> unsynced_;  // Changes of the log on their way to the disk, ascending.

  bool is_installing_ = false;  // An image takes the place of the state machine.

  // Looking, unless one of the two is there.
  std::optional<Leadership> leadership_;
  std::optional<Session> session_;
  SessionNumber sessions_ = 0;

  std::uint64_t round_ = 1;  // logicalclock.
  Vote vote_;                // Ours while we look, then that of our ensemble.
  Votes votes_;              // Of this round, our own among them.
  Votes decided_;            // Of those that look no longer (ZooKeeper's outofelection).
  Time finalize_at_ = Time::max();
  Time notify_at_;
  Duration notify_interval_;
  std::map<NodeId, std::pair<std::uint32_t, FollowerInfo>> early_infos_;  // They decided first.

  // Of a leadership lost: committed or superseded when that shows, unknown at the deadline.
  std::deque<Proposed> doubtful_;
  Time doubtful_deadline_ = Time::max();
};

// A ModuleFactory: make_zab(context).
std::unique_ptr<consensus::Module> make_zab(consensus::ModuleContext context);

}  // namespace qlab::zab
