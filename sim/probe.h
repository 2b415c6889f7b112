#pragma once
// A module with the simulator's eyes on it: every step is checked and written into the history.

#include <memory>

#include "consensus/model/model.h"
#include "runtime/simulated/node.h"
#include "sim/history.h"

namespace qlab::sim {

class Probe final : public consensus::Module {
 public:
  // What a doomed node still does in its last instant is not written down: nobody sees it.
  // `context` is what the module was made with. `model`: is shown every step; null: none.
  // Requires: `node` and `history` outlive it.
  Probe(std::unique_ptr<consensus::Module> inner, const runtime::SimulatedNode& node,
        History& history, const consensus::ModuleContext& context,
        std::shared_ptr<consensus::model::Model> model);

  consensus::Capabilities capabilities() const override { return inner_->capabilities(); }
  void step(Time now, const consensus::Input& input,
            std::vector<consensus::Effect>& effects) override;
  Time next_deadline() const override { return inner_->next_deadline(); }
  consensus::Status status() const override { return inner_->status(); }
  std::uint64_t digest() const override { return inner_->digest(); }
  void check_invariants() const override { inner_->check_invariants(); }

 private:
  ReplicaLog& log() { return history_.logs[node_.id()]; }
  void note(const consensus::Effect& effect);
  void note_install(const consensus::out::InstallSnapshot& effect);
  void note(const std::optional<consensus::model::Refusal>& refusal);

  std::unique_ptr<consensus::Module> inner_;
  const runtime::SimulatedNode& node_;
  History& history_;
  const consensus::Tuning tuning_;
  LogIndex commit_;  // As last told.
  std::shared_ptr<consensus::model::Model> model_;
};

}  // namespace qlab::sim
