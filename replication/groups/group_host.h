#pragma once
// The consensus groups of a shard, and what they share: one log with one sync at a time, and one
// message at a time to each broker.
//
// Heartbeats of all groups leave together, once in an interval, and so do the answers to them: what
// a pair of brokers says while nothing is written is two messages each way in an interval, whatever
// the number of groups.
//
// Thread: the shard's. Source: CockroachDB's coalesced heartbeats, TiKV's raft store.

#include <functional>
#include <map>
#include <memory>

#include "consensus/driver.h"
#include "replication/groups/group.h"
#include "replication/groups/outbox.h"
#include "runtime/async.h"

namespace qlab::replication {

class GroupHost {
 public:
  struct Options {
    NodeId self;
    consensus::ModuleFactory module;
    consensus::Tuning tuning;
    std::string directory;  // Of the log, below the disk's root.
    GroupLogOptions log = {};
  };
  struct Ways {
    // To the groups of another broker. A message that cannot be sent ends the stream.
    Outbox::Send send;
    std::function<void(NodeId)> close_link;
    std::function<void(Error)> on_fatal;  // Called once at most.
  };

  // Requires: runtime and engine outlive it.
  GroupHost(runtime::Runtime& runtime, storage::Engine& engine, Options options, Ways ways);

  // Recovers the log. Requires: before all else, once. Errors: as of GroupLog::open.
  Task<Result<void>> open();
  // Requires: every group was closed.
  Task<void> stop();

  // What the log has of a group, once; nothing: it was never here.
  std::optional<GroupState> take(const GroupId& group) { return log_->take(group); }
  void give_back(const GroupId& group, GroupState state) {
    log_->give_back(group, std::move(state));
  }
  // Groups of partitions that are gone: the last life ended before that was durable. It is with the
  // next write, or is done again by the next life.
  void sweep(const std::function<bool(const GroupId&)>& is_wanted) { log_->sweep(is_wanted); }
  // Puts a new group on the disk, in its turn.
  void bear(const GroupId& group, const GroupState& state) { log_->begin(group, state); }
  std::shared_ptr<Group> add(const GroupId& id, GroupState state, GroupOwner& owner);
  // `is_gone`: for good; its place in the log is given up.
  void remove(const GroupId& id, bool is_gone);

  void receive(NodeId from, runtime::LinkEpoch link, ByteView message);  // Garbage is refused.
  void link_up(NodeId peer, runtime::LinkEpoch link);
  void link_down(NodeId peer, runtime::LinkEpoch link);

  struct Stats {
    std::uint64_t messages_sent = 0;
    std::uint64_t items_sent = 0;  // In those.
    std::uint64_t messages_refused = 0;
    std::uint64_t syncs = 0;  // Of the log.
    std::uint64_t compactions = 0;
  };
  Stats stats() const;

  // For groups:
  runtime::Runtime& runtime() { return runtime_; }
  const Options& options() const { return options_; }
  GroupLog& log() { return *log_; }
  const std::map<NodeId, runtime::LinkEpoch>& links() const { return links_; }
  void send(NodeId to, const GroupItem& item, bool can_wait) { outbox_.put(to, item, can_wait); }
  // What a peer sent is of no use to anybody: it is dropped, counted, and told in the trace.
  void refuse(NodeId from, std::string_view why);
  void close_link(NodeId peer) { ways_.close_link(peer); }
  // The group has put something into the log. Returns how many such calls there were with it.
  std::uint64_t wrote(Group& group);
  // Whether a compaction may leave so many bytes of entries for peers that lag a little.
  bool may_keep(std::size_t bytes);
  // Runs it in the background, for as long as the group is needed for it.
  void run(Group& group, std::function<Task<void>()> task);
  void give_up(Error why);

 private:
  Task<void> write_loop();
  Task<Result<void>> write_once();
  Task<void> compact();
  void arm_heartbeat();

  runtime::Runtime& runtime_;
  storage::Engine& engine_;
  const Options options_;
  const Ways ways_;
  std::unique_ptr<GroupLog> log_;
  Outbox outbox_;
  std::map<GroupId, std::shared_ptr<Group>> groups_;
  std::map<NodeId, runtime::LinkEpoch> links_;  // Our streams that are up.

  std::vector<std::shared_ptr<Group>> dirty_;  // Have put something that is not flushed.
  std::uint64_t writes_ = 0;
  enum class Compaction : std::uint8_t { none, running, written };
  Compaction compaction_ = Compaction::none;
  std::size_t keep_left_ = 0;  // Of the compaction under way.
  std::uint64_t compactions_ = 0;
  std::uint64_t messages_refused_ = 0;
  bool stopped_ = false;
  bool failed_ = false;
  runtime::TimerId heartbeat_;
  runtime::Event work_;  // Something was put, or we stop.
  runtime::Gate gate_;
};

}  // namespace qlab::replication
