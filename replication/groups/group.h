#pragma once
// One consensus group of a partition on this broker: a module, whose effects are carried out over
// what the groups of the shard share (group_host.h): one log, one outbox, one sync at a time.
//
// It differs from consensus/driver.h, which serves a group alone, in three things: writes go to the
// shared log, what is committed is applied by its owner in its own time (to a partition's log,
// which waits), and an image is not a file but a word: "everything up to here is in the partition's
// log", so that a replica that lags copies records, from where its own log ends.
//
// Thread: the shard's. Source: CockroachDB's and TiKV's MultiRaft.

#include <deque>
#include <map>
#include <memory>
#include <variant>

#include "consensus/module.h"
#include "replication/groups/group_log.h"
#include "runtime/async.h"
#include "runtime/transport.h"

namespace qlab::replication {

class GroupHost;

// Who applies what a group commits.
class GroupOwner {
 public:
  virtual ~GroupOwner() = default;
  // commit() has moved: entries wait to be applied.
  virtual void on_committed() = 0;
  // We lead from here on, and everything before is applied; or (nothing) no longer.
  virtual void on_lead(std::optional<Epoch> epoch) = 0;
  // Another leads, or nobody.
  virtual void on_leader_known() = 0;
  // Brings the partition's log to `end`, durably, by copying from `leader` or whoever has it.
  // Errors: as of the log; aborted, when the replica is closed.
  virtual Task<Result<void>> catch_up(Offset end) = 0;
  // Makes durable what is applied, and says how far that is. Errors: as of the log.
  struct Settled {
    LogIndex index;
    Offset end;
  };
  virtual Task<Result<Settled>> settle() = 0;
  // Records were asked for by a replica that lags, or came from one that does not (outbox.h).
  virtual void on_records(NodeId from, bool is_request, Bytes body) = 0;
};

class Group : public std::enable_shared_from_this<Group> {
 public:
  // Requires: host and owner outlive its last call; `state` is in the host's log.
  Group(GroupHost& host, GroupId id, GroupState state, GroupOwner& owner);

  const GroupId& id() const { return id_; }
  void start();  // Called once.
  void stop();   // Nothing is stepped any more, and the owner hears nothing more.

  void receive(NodeId from, runtime::LinkEpoch link, consensus::Message message);
  void link_up(NodeId peer, runtime::LinkEpoch link);
  void link_down(NodeId peer, runtime::LinkEpoch link);
  void on_records(NodeId from, bool is_request, Bytes body);
  // All that was put into the log before the number of writes was `written` is durable.
  void on_flushed(std::uint64_t written);
  // What is applied goes from the log, as far as peers that are close have it, and the rest is
  // written anew. False: not now, for an image is on its way. Errors: as of GroupOwner::settle.
  Task<Result<bool>> compact();
  GroupState state() const;  // What the log has to have of it.

  // Proposes an entry as the leader of `epoch`; lost when we are not that any more.
  void propose(std::shared_ptr<const Bytes> body, Epoch epoch);
  // Hands leadership to `to`, which leads when it returns. Errors: as of consensus::Driver.
  Task<Result<void>> transfer(NodeId to);

  LogIndex commit() const { return commit_; }
  LogIndex applied() const { return applied_; }
  // False also while an image is on its way: what lies before its end is gone from the log.
  bool has_more() const { return running_ && !installing_ && applied_ < commit_; }
  // The next entries to be applied, about `bytes_max` of them. Requires: has_more().
  std::vector<consensus::Entry> next(std::size_t bytes_max) const;
  // Requires: up_to <= commit().
  void set_applied(LogIndex up_to);
  consensus::Status status() const { return module_->status(); }
  bool has_member(NodeId node) const;
  bool is_linked(NodeId peer) const { return links_.contains(peer); }
  const GroupBase& base() const { return base_; }

 private:
  struct HeldSend {
    NodeId to;
    runtime::LinkEpoch link;  // The stream that was up when it was asked for.
    std::shared_ptr<const consensus::Message> message;
    bool can_wait = false;  // For the next heartbeat of the host.
  };
  using Held = std::variant<HeldSend, LogIndex>;  // A message, or a commit up to here.
  using Write =
      std::variant<std::monostate, std::vector<consensus::Entry>, LogIndex, consensus::HardState>;

  void input(consensus::Input next);
  void arm_timer();
  void write(consensus::WriteSeq seq, Write write);
  void put(const Write& write);
  void when_durable(consensus::WriteSeq after, Held effect);
  void release(const Held& effect);
  void check_applied();
  Task<void> install(consensus::WriteSeq seq, GroupState state);
  LogIndex keep_up_to(LogIndex settled);

  void carry_out(const consensus::out::Append& effect);
  void carry_out(const consensus::out::Truncate& effect);
  void carry_out(const consensus::out::SaveHardState& effect);
  void carry_out(const consensus::out::ReadSnapshot& effect);
  void carry_out(const consensus::out::StoreSnapshot& effect);
  void carry_out(const consensus::out::InstallSnapshot& effect);
  void carry_out(const consensus::out::ConfigActive&) {}
  void carry_out(const consensus::out::Fatal& effect);
  void carry_out(const consensus::out::Send& effect);
  void carry_out(const consensus::out::CloseLink& effect);
  void carry_out(const consensus::out::Commit& effect);
  void carry_out(const consensus::out::Outcome& effect);
  void carry_out(const consensus::out::ReadReady&) {}
  void carry_out(const consensus::out::ElectionStarted&) {}
  void carry_out(const consensus::out::LeaderKnown&);
  void carry_out(const consensus::out::Activate& effect);
  void carry_out(const consensus::out::Deactivate& effect);
  void carry_out(const consensus::out::Trace&) {}

  GroupHost& host_;
  const GroupId id_;
  GroupOwner& owner_;
  consensus::EntryLog log_;
  consensus::HardState hard_;
  GroupBase base_;
  std::unique_ptr<consensus::Module> module_;
  bool running_ = false;

  std::deque<consensus::Input> inputs_;  // Made while a step is carried out.
  std::vector<consensus::Effect> effects_;
  bool stepping_ = false;
  bool in_timer_ = false;  // The step under way is the timer's.

  std::map<NodeId, runtime::LinkEpoch> links_;  // Our streams that are up.
  consensus::WriteSeq issued_;
  consensus::WriteSeq durable_;  // durable_ <= issued_
  // Writes in the shared log: ours, and how many of all groups there were with it.
  std::deque<std::pair<consensus::WriteSeq, std::uint64_t>> written_;
  std::multimap<consensus::WriteSeq, Held> held_;
  bool installing_ = false;
  std::deque<std::pair<consensus::WriteSeq, Write>> blocked_;  // Behind an image on its way.
  Bytes image_;                                                // That comes from the leader.

  LogIndex commit_;   // Released by the durability rule.
  LogIndex applied_;  // applied_ <= commit_
  std::optional<consensus::out::Activate> activating_;
  std::optional<Epoch> leads_;
  consensus::RequestId requests_;
  std::map<consensus::RequestId, runtime::Completion<Result<void>>> transfers_;

  runtime::TimerId timer_;  // For next_deadline(); 0: none is armed.
  Time timer_due_;
};

}  // namespace qlab::replication
