#pragma once
// Decides requests: a request becomes a transaction against the state to come, which is what is
// applied with all that was decided since.
//
// Source: ZooKeeper's PrepRequestProcessor, whose ChangeRecords these are. It decides ahead, so any
// number of conditional writes may be under way at once.
//
// Thread: one. Exists while its server leads, and sees every transaction that is applied meanwhile.

#include <deque>
#include <map>
#include <set>
#include <string>
#include <unordered_map>

#include "keeper/state.h"

namespace qlab::keeper {

class Primary {
 public:
  // `znode_bytes_max`: of a path and its data together. Requires: `state` outlives this.
  Primary(const State& state, std::size_t znode_bytes_max)
      : state_(state), znode_bytes_max_(znode_bytes_max) {}

  // The transaction that answers it: a refusal is one, too. What it decides counts from now on.
  Transaction decide(const Submitted& submitted, std::int64_t time_ms);
  // This one, the oldest of those that were decided and not applied, has been applied.
  void applied(const Transaction& transaction);
  std::size_t outstanding() const { return decided_ - applied_; }

  // The session is served by `server` now; what others ask in its name is refused as SessionMoved.
  void move_session(std::int64_t session, NodeId server) { owners_[session] = server; }
  // Open, and not about to be closed.
  bool is_open(std::int64_t session) const {
    return state_.session(session) != nullptr && !closing_.contains(session);
  }

 private:
  // What a path will be.
  struct Node {
    bool exists = false;
    std::int32_t version = 0;
    std::int32_t cversion = 0;
    std::int32_t aversion = 0;
    std::uint32_t children = 0;
    std::int64_t owner = 0;
  };
  struct Decided {
    Node node;
    std::uint64_t by = 0;  // The number of the transaction.
  };
  using Overlay = std::map<std::string, Node, std::less<>>;

  Node look(std::string_view path) const;
  void keep(Overlay changes);

  ErrorCode check_session(const Submitted& submitted);
  // The change, with what it does to paths in staged_; or `error`.
  Change decide_one(const wire::keeper::Request& request, std::int64_t session);
  Change decide_create(const wire::keeper::Request& request, std::int64_t session);
  Change decide_remove(const wire::keeper::Request& request);
  Change decide_set(const wire::keeper::Request& request);
  Change decide_multi(const wire::keeper::Request& request, std::int64_t session);
  Change decide_close(std::int64_t session);
  static Change refuse(ErrorCode error);

  const State& state_;
  const std::size_t znode_bytes_max_;
  Overlay staged_;  // By the request that is being decided.
  std::unordered_map<std::string, Decided> ahead_;
  std::deque<std::pair<std::uint64_t, std::string>> order_;  // Of what is in ahead_, oldest first.
  std::uint64_t decided_ = 0;                                // Transactions; applied_ <= decided_.
  std::uint64_t applied_ = 0;
  std::set<std::int64_t> closing_;
  std::unordered_map<std::int64_t, NodeId> owners_;
};

}  // namespace qlab::keeper
