#pragma once
// The state of the consensus node: a register that each committed entry overwrites, and how many
// did. As little as can be, so that what is measured is agreement.

#include "consensus/state_machine.h"

namespace qlab::consensus::node {

class Register final : public StateMachine {
 public:
  void apply(const std::vector<Entry>& entries) override {
    for (const Entry& entry : entries) {
      if (entry.kind != EntryKind::data) continue;
      last_ = entry.body;
      ++count_;
    }
  }
  void activate(Epoch) override {}
  void deactivate(Epoch) override {}
  void on_leader_known(Epoch, std::optional<NodeId> leader) override { leader_ = leader; }

  std::unique_ptr<SnapshotSource> snapshot() override;
  void begin_restore(LogId) override { image_.clear(); }
  Result<void> restore_piece(ByteView piece) override {
    image_.insert(image_.end(), piece.begin(), piece.end());
    return {};
  }
  Result<void> restored() override;

  std::uint64_t count() const { return count_; }
  ByteView last() const { return last_ == nullptr ? ByteView{} : ByteView{*last_}; }
  std::optional<NodeId> leader() const { return leader_; }

 private:
  std::uint64_t count_ = 0;  // Entries applied, those of an image included.
  std::shared_ptr<const Bytes> last_;
  std::optional<NodeId> leader_;
  Bytes image_;  // What has come of it so far.
};

}  // namespace qlab::consensus::node
