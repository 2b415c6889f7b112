#pragma once
// The state machine of the simulation: a register to which values are appended. An append and a
// read see all values before them, so that one digest tells whether they saw the right ones.

#include "consensus/state_machine.h"
#include "runtime/simulated/node.h"
#include "sim/history.h"

namespace qlab::sim {

// Tells the history what it applies, and CHECKs the order that state_machine.h promises.
class AppendRegister final : public consensus::StateMachine {
 public:
  // An image is `image_padding` bytes larger than it need be, so that it comes in pieces.
  AppendRegister(const runtime::SimulatedNode& node, History& history, std::size_t image_padding)
      : node_(node), history_(history), image_padding_(image_padding) {}
  void apply(const std::vector<consensus::Entry>& entries) override;
  void activate(Epoch epoch) override;
  void deactivate(Epoch epoch) override;
  void on_leader_known(Epoch epoch, std::optional<NodeId> leader) override;
  std::unique_ptr<consensus::SnapshotSource> snapshot() override;
  void begin_restore(consensus::LogId last) override;
  Result<void> restore_piece(ByteView piece) override;
  Result<void> restored() override;

  LogIndex applied() const { return last_.id.index; }
  std::uint64_t state() const { return state_; }
  // It has applied entries of which it sees that they are there, not what they say: the state is
  // none, until an image brings it.
  bool is_blind() const { return blind_; }
  static Bytes body_of(std::uint64_t value, std::size_t padding);

 private:
  // A witness got it without the body that it has elsewhere.
  bool is_stripped(const ChainedEntry& entry) const;

  const runtime::SimulatedNode& node_;
  History& history_;
  const std::size_t image_padding_;
  ChainedEntry last_;        // Applied.
  std::uint64_t state_ = 0;  // Of all values applied, in order.
  bool blind_ = false;
  Epoch epoch_;  // That the node is in.
  std::optional<Epoch> active_;
  consensus::LogId restoring_;
  Bytes image_;
};

}  // namespace qlab::sim
