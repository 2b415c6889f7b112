#pragma once
// One server of a keeper: takes clients, answers reads from its own state, hands writes to the
// leader, and tells of what is applied.
//
// How a write goes: connection -> submit() -> the leader decides it (keeper/leader.h) -> the log ->
// on_applied() at every server, and at the one that was asked the answer. Events of watches leave
// before the answer to anything that shows the change. When the leader is lost, the fate of what
// waits is unknown: those connections are closed, and their sessions live on.
//
// Source: ZooKeeper's request processors.

#include <map>
#include <set>
#include <unordered_map>

#include "keeper/connection.h"
#include "keeper/leader.h"
#include "keeper/machine.h"
#include "keeper/peer_message.h"
#include "keeper/words.h"
#include "runtime/transport.h"

namespace qlab::keeper {

// Thread: the driver's shard.
class Server final : private Machine::Listener {
 public:
  // Requires: all outlive stop(); the driver has not started yet.
  Server(runtime::Runtime& runtime, consensus::Driver& driver, Machine& machine, Options options);

  // `on_fatal`: an entry of the log is of no type that this build knows.
  void start(std::unique_ptr<runtime::Listener> listener, std::function<void(Error)> on_fatal);
  // Ends all connections; sessions live on. Requires: the driver is stopped.
  Task<void> stop();

  // Of Channel::keeper. Garbage is dropped and counted.
  void on_message(NodeId from, Bytes payload);
  void on_link_down(NodeId peer);

  bool serves() const { return leader_id_.has_value(); }
  Figures figures() const;

 private:
  using ConnectionPtr = std::shared_ptr<Connection>;

  void on_applied(const Transaction& transaction, const Outcome& outcome,
                  consensus::LogId id) override;
  void on_progress() override;
  void on_activate(Epoch epoch) override;
  void on_deactivate() override;
  void on_leader(Epoch epoch, std::optional<NodeId> leader) override;
  void on_restored() override;
  void on_undecodable(Error error) override;

  // server.cc: connections.
  Task<void> accept_loop();
  Task<void> serve(ConnectionPtr connection);
  Task<Result<bool>> greet(ConnectionPtr connection);  // False: a word was answered.
  void begin_session(const ConnectionPtr& connection, const wire::keeper::ConnectRequest& request);
  void establish(const ConnectionPtr& connection, std::int64_t session, std::int32_t timeout_ms);
  void refuse_session(const ConnectionPtr& connection, std::string_view why);
  void forget(const ConnectionPtr& connection);
  void arm_tick();
  void tick();

  // server_requests.cc: what clients ask.
  void on_frame(const ConnectionPtr& connection, ByteView frame);
  void pump(const ConnectionPtr& connection);
  void reply(Connection& connection, const Asked& asked, const Answer& answer);
  void tell_watchers(const Outcome& outcome);

  // server_ensemble.cc: the other servers.
  void submit(const ConnectionPtr& connection, std::uint64_t number, OpCode op, Bytes body);
  void ask_sync(const ConnectionPtr& connection, std::uint64_t number);
  void ask_validation(const ConnectionPtr& connection, std::int64_t session);
  void take_validation(std::uint64_t number, std::int32_t timeout_ms);
  void take_sync(std::uint64_t number, LogIndex index);
  void answer_peer(NodeId from, const PeerMessage& message);
  bool send(NodeId to, const PeerMessage& message);
  bool leads() const { return leader_id_ == options_.id; }
  ConnectionPtr waiting(std::uint64_t number);  // And waits no longer; null: nobody.
  void give_up_waiting(std::string_view why);
  void touch_sessions();
  void take_touched(std::uint64_t sent);

  runtime::Runtime& runtime_;
  consensus::Driver& driver_;
  Machine& machine_;
  const Options options_;
  Leader leader_;
  Watches watches_;
  std::function<void(Error)> on_fatal_;
  std::unique_ptr<runtime::Listener> listener_;

  std::map<WatcherId, ConnectionPtr> connections_;
  std::unordered_map<std::int64_t, std::weak_ptr<Connection>> sessions_;  // That are served here.
  std::set<std::int64_t> heard_;  // Sessions, since the leader was told last.
  // When what the leader is known to have heard from us was sent. A client that this server keeps
  // for longer than its timeout behind that could believe in a session that ended elsewhere.
  Time confirmed_;
  WatcherId last_id_ = 0;

  Epoch leader_epoch_;
  std::optional<NodeId> leader_id_;
  // What waits for the log or the leader, by number. Numbers begin anywhere, so that those of an
  // earlier life of this server are not met again.
  std::unordered_map<std::uint64_t, ConnectionPtr> waiting_;
  std::uint64_t last_number_;
  std::multimap<LogIndex, std::uint64_t> syncs_;  // Answered, and not applied so far here.
  std::deque<Submitted> early_;                   // Came while the leader, this one, starts.

  Latencies latencies_;
  std::uint64_t garbage_ = 0;
  runtime::TimerId tick_timer_;
  bool stopping_ = false;
  runtime::Gate gate_;
};

}  // namespace qlab::keeper
