#include "sim/probe.h"

namespace qlab::sim {

namespace in = consensus::in;
namespace out = consensus::out;

Probe::Probe(std::unique_ptr<consensus::Module> inner, const runtime::SimulatedNode& node,
             History& history, const consensus::ModuleContext& context,
             std::shared_ptr<consensus::model::Model> model)
    : inner_(std::move(inner)),
      node_(node),
      history_(history),
      tuning_(context.tuning),
      commit_(context.recovery.applied),
      model_(std::move(model)) {
  const consensus::Recovery& recovery = context.recovery;
  const bool possible = log().recover(context.log, recovery.hard_state, history_.committed);
  history_.fresh.recovered.push_back({node_.id(), possible});
  history_.in_force(node_.id(), recovery.config, log().configured_at());
  if (model_ == nullptr) return;
  const consensus::ReplicaKey self{node_.id(), history_.directories.at(node_.id())};
  model_->attend(node_.id(), context.now, tuning_);
  note(model_->recover(self, recovery, context.log));
}

void Probe::note(const std::optional<consensus::model::Refusal>& refusal) {
  if (refusal) history_.fresh.refused.push_back({node_.id(), "the model: " + refusal->words()});
}

void Probe::step(Time now, const consensus::Input& input, std::vector<consensus::Effect>& effects) {
  inner_->check_invariants();  // Here, where the effects of the step before have been taken.
  const auto* done = std::get_if<in::WriteDone>(&input);
  if (done != nullptr && node_.is_up()) log().durable_up_to(done->up_to);
  const auto* installed = std::get_if<in::SnapshotInstalled>(&input);
  if (installed != nullptr) commit_ = std::max(commit_, installed->last.index);
  inner_->step(now, input, effects);
  if (model_ != nullptr && node_.is_up()) {
    model_->attend(node_.id(), now, tuning_);
    note(model_->step(node_.id(), input, effects, inner_->status()));
  }
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
    if (history_.on_vote) history_.on_vote(node_.id());
  } else if (const auto* store = std::get_if<out::StoreSnapshot>(&effect)) {
    log().store(store->seq);
  } else if (const auto* install = std::get_if<out::InstallSnapshot>(&effect)) {
    note_install(*install);
  } else if (const auto* commit = std::get_if<out::Commit>(&effect)) {
    history_.fresh.committed.push_back({node_.id(), commit_, commit->up_to});
    commit_ = commit->up_to;
    history_.claim(node_.id(), commit_);
  } else if (const auto* known = std::get_if<out::LeaderKnown>(&effect)) {
    if (known->leader == node_.id()) history_.fresh.led.push_back({node_.id(), known->epoch});
  } else if (const auto* active = std::get_if<out::Activate>(&effect)) {
    history_.fresh.activated.push_back({node_.id(), active->epoch, active->ready_at, commit_});
  } else if (const auto* config = std::get_if<out::ConfigActive>(&effect)) {
    history_.in_force(node_.id(), config->config, config->at);
    ++history_.configs_changed;
  }
}

// An image is of a state machine, which has applied what is committed and nothing else.
void Probe::note_install(const out::InstallSnapshot& effect) {
  const consensus::LogId last = effect.meta.last;
  const auto at = static_cast<std::size_t>(last.index.value());
  if (at == 0 || at > history_.committed.size() || history_.committed[at - 1].entry.id != last) {
    history_.fresh.refused.push_back(
        {node_.id(),
         fmt::format("an image of {}.{}, which was never committed", last.epoch, last.index)});
    return log().store(effect.seq);
  }
  log().install(effect.seq, last, history_.committed);
  ++history_.images_installed;
}

}  // namespace qlab::sim
