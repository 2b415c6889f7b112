#pragma once
// Proposals between their callers and the module: gathered while they linger, answered together.

#include <map>
#include <vector>

#include "consensus/module.h"
#include "runtime/async.h"

namespace qlab::consensus {

struct ProposeResult;

// Thread: one shard.
class Proposals {
 public:
  using Waiter = runtime::Completion<ProposeResult>;
  struct Group {
    in::Propose input;
    std::size_t bytes = 0;
  };

  // True when it joined the group that lingers; false when that must be taken first, because its
  // epoch is another or it would grow beyond `bytes_max`.
  bool add(std::vector<Bytes>& bodies, std::optional<Epoch> expect_epoch, std::size_t bytes_max,
           const Waiter& waiter);
  bool lingers() const { return !gathering_.bodies.empty(); }
  std::size_t lingering_bytes() const { return gathering_bytes_; }
  // What lingers becomes one input with this id. Requires: lingers().
  in::Propose take(RequestId request);

  // The fate of a group. A committed one waits for apply().
  void decide(const out::Outcome& outcome);
  void applied(LogIndex up_to);
  // Nobody will bring an answer any more: what was not handed in is rejected, the rest unknown.
  void abandon();

 private:
  struct Call {
    std::int64_t entries_behind = 0;  // Of later calls in the same group.
    Waiter waiter;
  };
  using Calls = std::vector<Call>;
  static void answer(Calls& calls, const out::Outcome& outcome);

  in::Propose gathering_;
  std::size_t gathering_bytes_ = 0;
  Calls gathering_calls_;
  std::map<RequestId, Calls> undecided_;
  std::multimap<LogIndex, std::pair<out::Outcome, Calls>> committed_;  // Until applied.
};

}  // namespace qlab::consensus
