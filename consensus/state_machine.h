#pragma once
// What a consensus group is for: a state that changes by committed entries only, or by a primary
// that decides ahead.

#include "consensus/types.h"

namespace qlab::consensus {

// Thread: the driver's shard; the driver calls, one call at a time.
class StateMachine {
 public:
  virtual ~StateMachine() = default;
  // Committed entries, in order, each once per life of the process; adjacent to what was applied
  // before.
  virtual void apply(const std::vector<Entry>& entries) = 0;
  // We lead and have applied everything before: decide from here on. Proposals carry `epoch`.
  virtual void activate(Epoch epoch) = 0;
  // We lead no longer: forget what was decided and not applied.
  virtual void deactivate(Epoch epoch) = 0;
  virtual void on_leader_known(Epoch epoch, std::optional<NodeId> leader) = 0;
};

}  // namespace qlab::consensus
