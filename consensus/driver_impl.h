#pragma once
// The one implementation of driver.h. Included by driver.cc only.

#include <deque>
#include <map>
#include <variant>

#include "consensus/driver.h"
#include "consensus/proposals.h"
#include "consensus/write_queue.h"

namespace qlab::consensus {

class DriverImpl final : public Driver {
 public:
  DriverImpl(runtime::Runtime& runtime, StateMachine& machine, const ModuleFactory& factory,
             DriverOptions options, std::unique_ptr<LogStore> log, VoteStore votes);

  void start(std::function<void(Error)> on_fatal) override;
  Task<void> stop() override;
  void receive(NodeId from, runtime::LinkEpoch link, Bytes payload) override;
  void link_up(NodeId peer, runtime::LinkEpoch link) override;
  void link_down(NodeId peer, runtime::LinkEpoch link) override;
  Task<ProposeResult> propose(std::vector<Bytes> bodies,
                              std::optional<Epoch> expect_epoch) override;
  Task<Result<void>> read_barrier() override;
  void resign(Epoch epoch) override;
  Status status() const override { return module_->status(); }
  LogIndex applied() const override { return applied_; }
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

  void carry_out(const out::Append& effect);
  void carry_out(const out::Truncate& effect);
  void carry_out(const out::SaveHardState& effect);
  void carry_out(const out::Send& effect);
  void carry_out(const out::CloseLink& effect);
  void carry_out(const out::Commit& effect);
  void carry_out(const out::Outcome& effect);
  void carry_out(const out::ReadReady& effect);
  void carry_out(const out::ElectionStarted& effect);
  void carry_out(const out::LeaderKnown& effect);
  void carry_out(const out::Activate& effect);
  void carry_out(const out::Deactivate& effect);
  void carry_out(const out::Trace& effect);

  runtime::Runtime& runtime_;
  StateMachine& machine_;
  const DriverOptions options_;
  std::unique_ptr<LogStore> log_;
  VoteStore votes_;
  WriteQueue writes_;
  std::unique_ptr<Module> module_;
  std::function<void(Error)> on_fatal_;
  Phase phase_ = Phase::opened;

  std::deque<Input>
      inputs_;  // Made while a step is carried out; bounded by what one step can cause.
  std::vector<Effect> effects_;
  bool stepping_ = false;
  bool applying_ = false;

  std::map<NodeId, runtime::LinkEpoch> links_;  // Our streams that are up.
  std::multimap<WriteSeq, Held> held_;          // Waits for its write; equal ones in order.
  LogIndex commit_;                             // Released by the durability rule.
  LogIndex applied_;                            // applied_ <= commit_.
  std::optional<out::Activate> activating_;     // Until ready_at is applied.
  bool active_ = false;                         // machine_ was activated and not deactivated since.

  RequestId requests_;
  Proposals proposals_;
  std::map<RequestId, runtime::Completion<Result<void>>> reads_;  // Not confirmed yet.
  std::multimap<LogIndex, runtime::Completion<Result<void>>> reads_ready_;

  runtime::TimerId timer_;  // For next_deadline(); 0: none is armed.
  Time timer_due_;
  runtime::TimerId linger_timer_;
  runtime::TimerId apply_timer_;
  runtime::Event work_;  // Something was queued in writes_, or the driver ends.
  runtime::Gate gate_;
};

}  // namespace qlab::consensus
