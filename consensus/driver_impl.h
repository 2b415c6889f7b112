#pragma once
// The one implementation of driver.h: driver.cc, and driver_snapshots.cc for images and
// configurations. Included by these two only.

#include <deque>
#include <map>
#include <variant>

#include "consensus/driver.h"
#include "consensus/proposals.h"
#include "consensus/snapshot_store.h"
#include "consensus/write_queue.h"

namespace qlab::consensus {

// What a replica keeps.
struct Stores {
  std::unique_ptr<LogStore> log;
  VoteStore votes;
  std::unique_ptr<SnapshotStore> snapshots;
};

class DriverImpl final : public Driver {
 public:
  DriverImpl(runtime::Runtime& runtime, StateMachine& machine, const ModuleFactory& factory,
             DriverOptions options, Stores stores);
  // Brings the state machine to the newest image. Requires: before start().
  Task<Result<void>> restore();

  void start(std::function<void(Error)> on_fatal) override;
  Task<void> stop() override;
  void receive(NodeId from, runtime::LinkEpoch link, Bytes payload) override;
  void link_up(NodeId peer, runtime::LinkEpoch link) override;
  void link_down(NodeId peer, runtime::LinkEpoch link) override;
  Task<ProposeResult> propose(std::vector<Bytes> bodies,
                              std::optional<Epoch> expect_epoch) override;
  Task<Result<void>> read_barrier() override;
  Task<Result<void>> reconfigure(Config target) override;
  Task<Result<void>> transfer(std::optional<NodeId> to) override;
  void resign(Epoch epoch) override;
  Status status() const override;
  LogIndex applied() const override { return applied_; }
  const Config& config() const override { return config_; }
  const SnapshotMeta& snapshot() const override { return snapshots_->newest(); }
  std::uint64_t digest() const override;

 private:
  enum class Phase : std::uint8_t { opened, running, failed, stopped };
  struct HeldSend {
    NodeId to;
    runtime::LinkEpoch link;  // The stream that was up when it was asked for.
    std::shared_ptr<const Message> message;
  };
  using Held = std::variant<HeldSend, LogIndex>;  // A message, or a commit up to here.

  void input(Input next);
  void arm_timer();
  Task<void> write_loop();
  void end();
  void give_up(Error why);
  void when_durable(WriteSeq after, Held effect);
  void release_held();
  void release(WriteSeq after, const Held& effect);
  void apply_committed();
  void hand_in_proposals();
  Task<Result<void>> ask(std::function<Input(RequestId)> make);

  // driver_snapshots.cc
  const Config& config_at(LogIndex index) const;
  void note_configs(const std::vector<Entry>& entries);
  void take_snapshot_if_due();
  Task<void> take_snapshot(std::unique_ptr<SnapshotSource> source, SnapshotMeta meta);
  Task<Result<void>> write_snapshot(std::unique_ptr<SnapshotSource> source, SnapshotMeta meta);
  void tell_of_image();
  Task<void> read_chunks();
  Task<Result<void>> restore_image(SnapshotMeta meta);
  Task<Result<void>> finish_install();

  void carry_out(const out::Append& effect);
  void carry_out(const out::Truncate& effect);
  void carry_out(const out::SaveHardState& effect);
  void carry_out(const out::ReadSnapshot& effect);
  void carry_out(const out::StoreSnapshot& effect);
  void carry_out(const out::InstallSnapshot& effect);
  void carry_out(const out::ConfigActive& effect);
  void carry_out(const out::Fatal& effect);
  void carry_out(const out::Send& effect);
  void carry_out(const out::CloseLink& effect);
  void carry_out(const out::Commit& effect);
  void carry_out(const out::Outcome& effect);
  void carry_out(const out::ReadReady& effect);
  void carry_out(const out::ElectionStarted&) {}
  void carry_out(const out::LeaderKnown& effect);
  void carry_out(const out::Activate& effect);
  void carry_out(const out::Deactivate& effect);
  void carry_out(const out::Trace&) {}

  runtime::Runtime& runtime_;
  StateMachine& machine_;
  const DriverOptions options_;
  DriverTrace trace_;
  std::unique_ptr<LogStore> log_;
  VoteStore votes_;
  std::unique_ptr<SnapshotStore> snapshots_;
  WriteQueue writes_;
  std::unique_ptr<Module> module_;
  std::function<void(Error)> on_fatal_;
  Phase phase_ = Phase::opened;

  std::deque<Input>
      inputs_;  // Made while a step is carried out; bounded by what one step can cause.
  std::vector<Effect> effects_;
  bool stepping_ = false;
  Traffic traffic_;
  bool applying_ = false;

  std::map<NodeId, runtime::LinkEpoch> links_;  // Our streams that are up.
  std::multimap<WriteSeq, Held> held_;          // Waits for its write; equal ones in order.
  LogIndex commit_;                             // Released by the durability rule.
  LogIndex applied_;                            // applied_ <= commit_.
  std::optional<out::Activate> activating_;     // Until ready_at is applied.
  bool active_ = false;                         // machine_ was activated and not deactivated since.

  Config config_;                       // In force.
  std::map<LogIndex, Config> configs_;  // Of the entries in the log.
  std::uint64_t bytes_since_snapshot_ = 0;
  bool taking_snapshot_ = false;
  LogId told_image_;                              // The newest image that the module knows of.
  std::deque<out::ReadSnapshot> reads_of_image_;  // Bounded by the module: one or few per peer.
  bool reading_image_ = false;
  std::optional<out::InstallSnapshot> installing_;  // Until it is durable and restored.

  RequestId requests_;
  Proposals proposals_;
  std::map<RequestId, runtime::Completion<Result<void>>> reads_;  // Not confirmed yet.
  std::multimap<LogIndex, runtime::Completion<Result<void>>> reads_ready_;
  std::map<RequestId, runtime::Completion<Result<void>>> changes_;  // Of leader or configuration.

  runtime::TimerId timer_;  // For next_deadline(); 0: none is armed.
  Time timer_due_;
  runtime::TimerId linger_timer_;
  runtime::TimerId apply_timer_;
  runtime::Event work_;  // Something was queued in writes_, or the driver ends.
  runtime::Gate gate_;
};

}  // namespace qlab::consensus
