#include "sim/probe.h"

namespace qlab::sim {

namespace in = consensus::in;
namespace out = consensus::out;

Probe::Probe(std::unique_ptr<consensus::Module> inner, const runtime::SimulatedNode& node,
             Mutant mutant, History& history, const consensus::Recovery& recovery,
             const consensus::LogView& view)
    : inner_(std::move(inner)), node_(node), mutant_(mutant), history_(history) {
  const bool possible = log().recover(view, recovery.hard_state);
  history_.fresh.recovered.push_back({node_.id(), possible});
}

void Probe::step(Time now, const consensus::Input& input, std::vector<consensus::Effect>& effects) {
  inner_->check_invariants();  // Here, where the effects of the step before have been taken.
  const auto* done = std::get_if<in::WriteDone>(&input);
  if (done != nullptr && node_.is_up()) log().durable_up_to(done->up_to);
  inner_->step(now, input, effects);
  mutate(mutant_, effects);
  for (const consensus::Effect& effect : effects) {
    if (node_.is_up()) note(effect);
  }
}

void Probe::note(const consensus::Effect& effect) {
  if (const auto* append = std::get_if<out::Append>(&effect)) {
    for (const ChainedEntry& entry : log().append(append->seq, append->entries)) {
      history_.fresh.appended.push_back({node_.id(), entry});
    }
  } else if (const auto* truncation = std::get_if<out::Truncate>(&effect)) {
    log().truncate(truncation->seq, truncation->from);
  } else if (const auto* save = std::get_if<out::SaveHardState>(&effect)) {
    log().save(save->seq, save->state);
  } else if (const auto* commit = std::get_if<out::Commit>(&effect)) {
    history_.fresh.committed.push_back({node_.id(), commit_, commit->up_to});
    commit_ = commit->up_to;
  } else if (const auto* known = std::get_if<out::LeaderKnown>(&effect)) {
    if (known->leader == node_.id()) history_.fresh.led.push_back({node_.id(), known->epoch});
  }
}

}  // namespace qlab::sim
