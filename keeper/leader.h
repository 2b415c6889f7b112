#pragma once
// What only the leading server of a keeper does: decides requests, proposes them, and ends sessions
// that nobody heard of for their timeout.
//
// Thread: the driver's shard.

#include <functional>
#include <memory>

#include "consensus/driver.h"
#include "keeper/options.h"
#include "keeper/primary.h"
#include "keeper/session_clock.h"
#include "runtime/async.h"

namespace qlab::keeper {

using runtime::Task;

class Leader {
 public:
  // Requires: all outlive stop().
  Leader(runtime::Runtime& runtime, consensus::Driver& driver, const State& state, Options options);

  // Requires: the driver is stopped.
  Task<void> stop() { return gate_.close(); }

  // Every session gets its whole timeout anew: the leader before knew when it was heard of, and
  // nobody else.
  void activate(Epoch epoch);
  void deactivate();
  bool is_active() const { return primary_ != nullptr; }
  Epoch epoch() const { return epoch_; }
  std::size_t outstanding() const { return is_active() ? primary_->outstanding() : 0; }

  // These require: is_active().
  void submit(Submitted submitted);
  void applied(const Transaction& transaction, const Outcome& outcome, consensus::LogId id);
  void touch(std::int64_t session);
  // The session's timeout, and it is served by `server` from now on; 0: there is none such.
  std::int32_t validate(NodeId server, std::int64_t session, ByteView password);
  // Calls `done` with an index that covers all that was proposed before. At once, when nothing is
  // under way; `done` is dropped when leadership is lost.
  void sync(std::function<void(LogIndex)> done);
  // Ends sessions, and removes containers and znodes whose time is over.
  void tick();

 private:
  struct Sync {
    std::uint64_t after = 0;  // How many transactions are to be applied first.
    std::function<void(LogIndex)> done;
  };

  void decide(const Submitted& submitted);
  void decide_own(OpCode op, std::int64_t session, const std::string& path);
  void sweep();
  void propose(Bytes body);
  Task<void> propose_soon();
  Task<void> propose_all(std::vector<Bytes> bodies, Epoch epoch);

  runtime::Runtime& runtime_;
  consensus::Driver& driver_;
  const State& state_;
  const Options options_;

  Epoch epoch_;
  std::unique_ptr<Primary> primary_;  // Null while another leads.
  SessionClock clock_;
  Time swept_;
  std::vector<Bytes> gathering_;  // Decided in this turn of the executor.
  bool proposing_soon_ = false;
  std::deque<Submitted> waiting_;        // Not decided: too much is under way.
  std::deque<std::size_t> uncommitted_;  // Bytes of each that is proposed, oldest first.
  std::size_t uncommitted_bytes_ = 0;
  std::uint64_t proposed_ = 0;  // In this epoch.
  std::uint64_t applied_ = 0;   // Of them.
  std::deque<Sync> syncs_;
  runtime::Gate gate_;
};

}  // namespace qlab::keeper
