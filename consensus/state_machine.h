#pragma once
// What a consensus group is for: a state that changes by committed entries only, or by a primary
// that decides ahead.

#include "consensus/types.h"

namespace qlab::consensus {

// A state machine's image, piece by piece. It is of the moment when it was made: what is applied
// later does not show in it.
class SnapshotSource {
 public:
  virtual ~SnapshotSource() = default;
  // About `bytes_max` more of it; empty at the end.
  virtual Bytes next(std::size_t bytes_max) = 0;
};

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

  // An image of what is applied: the same bytes on every replica that applied as much, for one may
  // send the end of what another began to send. Null: this machine has none, and its log is kept
  // whole.
  virtual std::unique_ptr<SnapshotSource> snapshot() { return nullptr; }
  // Replaces all by an image whose last entry is `last`: restore_piece() for each piece, in order,
  // of any size, then restored(). Nothing else is called in between; not while active.
  virtual void begin_restore(LogId) {}
  // Errors: corrupt, when it is no image of this machine.
  virtual Result<void> restore_piece(ByteView) {
    return fail(Errc::unsupported, "this state machine has no image");
  }
  virtual Result<void> restored() { return {}; }
};

}  // namespace qlab::consensus
