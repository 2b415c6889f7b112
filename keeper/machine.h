#pragma once
// A keeper's state under a consensus group: hands entries to the state, and what came of them to
// the server.

#include "consensus/driver.h"
#include "keeper/state.h"

namespace qlab::keeper {

class Machine final : public consensus::StateMachine {
 public:
  // Called from within the group's driver, one call at a time.
  class Listener {
   public:
    virtual ~Listener() = default;
    // After each transaction; the state is as it left it.
    virtual void on_applied(const Transaction& transaction, const Outcome& outcome,
                            consensus::LogId id) = 0;
    virtual void on_progress() = 0;  // After a batch: applied() has grown.
    virtual void on_activate(Epoch epoch) = 0;
    virtual void on_deactivate() = 0;
    virtual void on_leader(Epoch epoch, std::optional<NodeId> leader) = 0;
    virtual void on_restored() = 0;  // The state jumped to an image: nobody saw what lies between.
    virtual void on_undecodable(Error error) = 0;  // This build cannot follow.
  };

  const State& state() const { return state_; }
  LogIndex applied_index() const { return applied_; }
  // Requires: none yet; it outlives the group's driver.
  void listen(Listener& listener) { listener_ = &listener; }

  void apply(const std::vector<consensus::Entry>& entries) override;
  void activate(Epoch epoch) override;
  void deactivate(Epoch epoch) override;
  void on_leader_known(Epoch epoch, std::optional<NodeId> leader) override;
  std::unique_ptr<consensus::SnapshotSource> snapshot() override { return state_.image(); }
  void begin_restore(consensus::LogId last) override;
  Result<void> restore_piece(ByteView piece) override { return restorer_.add(piece); }
  Result<void> restored() override;

 private:
  State state_;
  LogIndex applied_;
  StateRestorer restorer_;
  LogIndex restoring_;
  Listener* listener_ = nullptr;
  bool stuck_ = false;  // An entry did not decode: nothing behind it is applied.
};

}  // namespace qlab::keeper
