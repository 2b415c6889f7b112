#pragma once
// What every node makes of the metadata log: committed entries become images, and images are
// published.
//
// Thread: the home shard.

#include <functional>

#include "consensus/state_machine.h"
#include "controller/quorum/active_controller.h"
#include "metadata/publisher.h"
#include "metadata/snapshot.h"

namespace qlab::controller {

class MetadataMachine : public consensus::StateMachine {
 public:
  // `active`: null on a node that only observes. `on_fatal`: an entry does not decode, so this
  // build cannot follow.
  MetadataMachine(metadata::Publisher& publisher, ActiveController* active,
                  std::function<void(Error)> on_fatal)
      : publisher_(publisher), active_(active), on_fatal_(std::move(on_fatal)) {}

  void apply(const std::vector<consensus::Entry>& entries) override;
  void activate(Epoch epoch) override;
  void deactivate(Epoch epoch) override;
  void on_leader_known(Epoch epoch, std::optional<NodeId> leader) override;
  std::unique_ptr<consensus::SnapshotSource> snapshot() override;
  void begin_restore(consensus::LogId last) override;
  Result<void> restore_piece(ByteView piece) override;
  // Publishes the image at once, with everything before and in it as its delta.
  Result<void> restored() override;

  // Who decides, as far as this node knows.
  std::optional<NodeId> leader() const { return leader_; }
  // `told` is called whenever that may have changed, and when this node begins to decide.
  void on_change_of_leader(std::function<void()> told) { leader_changed_ = std::move(told); }
  // Index of the last entry seen, whatever its kind.
  LogIndex applied() const { return applied_; }

 private:
  metadata::Publisher& publisher_;
  ActiveController* active_;
  std::function<void(Error)> on_fatal_;
  std::optional<NodeId> leader_;
  std::function<void()> leader_changed_ = [] {};
  LogIndex applied_;
  std::optional<metadata::SnapshotReader> restoring_;
  LogIndex restoring_at_;  // Of the last entry in it.
};

}  // namespace qlab::controller
