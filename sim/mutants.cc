#include "sim/mutants.h"

#include <map>
#include <set>
#include <utility>

namespace qlab::sim {
namespace {

using consensus::Effect;
using consensus::Fate;
using consensus::Input;
using consensus::LogId;
using consensus::RequestId;
using consensus::WriteSeq;
namespace in = consensus::in;
namespace out = consensus::out;

constexpr std::pair<std::string_view, Mutant> mutants[] = {
    {"none", Mutant::none},
    {"send_before_sync", Mutant::send_before_sync},
    {"ack_before_sync", Mutant::ack_before_sync},
    {"vote_before_sync", Mutant::vote_before_sync},
    {"cut_before_sync", Mutant::cut_before_sync},
    {"count_before_sync", Mutant::count_before_sync},
    {"vote_not_saved", Mutant::vote_not_saved},
    {"read_without_quorum", Mutant::read_without_quorum},
    {"lease_without_margin", Mutant::lease_without_margin},
    {"committed_when_led", Mutant::committed_when_led},
    {"superseded_when_cut", Mutant::superseded_when_cut},
    {"config_not_recovered", Mutant::config_not_recovered},
    {"image_of_old_config", Mutant::image_of_old_config},
    {"ack_before_history", Mutant::ack_before_history},
    {"leader_not_recovered", Mutant::leader_not_recovered},
    {"break_not_noticed", Mutant::break_not_noticed},
};

enum class Write : std::uint8_t { entries, truncation, hard_state, history, image };

class Mutated final : public consensus::Module {
 public:
  Mutated(Mutant mutant, std::unique_ptr<consensus::Module> inner, consensus::Config base,
          NodeId self, Epoch synced_epoch)
      : mutant_(mutant),
        inner_(std::move(inner)),
        base_(std::move(base)),
        self_(self),
        synced_epoch_(synced_epoch) {}

  consensus::Capabilities capabilities() const override { return inner_->capabilities(); }
  consensus::Status status() const override { return inner_->status(); }
  std::uint64_t digest() const override { return inner_->digest(); }
  void check_invariants() const override { inner_->check_invariants(); }
  Time next_deadline() const override { return counts_early() ? now_ : inner_->next_deadline(); }

  void step(Time now, const Input& input, std::vector<Effect>& effects) override {
    now_ = now;
    if (!takes(input)) return;
    if (counts_early() && std::holds_alternative<in::Timer>(input)) {
      counted_ = issued_;
      inner_->step(now, in::WriteDone{issued_}, effects);
    } else if (const auto* read = std::get_if<in::Read>(&input);
               read != nullptr && serves_at_once()) {
      effects.push_back(out::ReadReady{read->request, inner_->status().commit});
    } else {
      inner_->step(now, input, effects);
    }
    if (const auto* propose = std::get_if<in::Propose>(&input)) answer_early(*propose, effects);
    for (Effect& effect : effects) change(effect);
    drop_answered(effects);
  }

 private:
  bool counts_early() const { return mutant_ == Mutant::count_before_sync && counted_ < issued_; }
  bool serves_at_once() const {
    return mutant_ == Mutant::read_without_quorum && inner_->status().leader == self_;
  }

  bool takes(const Input& input) {
    if (mutant_ == Mutant::count_before_sync) {
      const auto* done = std::get_if<in::WriteDone>(&input);
      return done == nullptr || done->up_to > counted_;
    }
    if (mutant_ != Mutant::break_not_noticed) return true;
    if (std::holds_alternative<in::LinkDown>(input)) return false;
    const auto* up = std::get_if<in::LinkUp>(&input);
    return up == nullptr || links_.insert(up->peer).second;
  }

  // Answers a proposal with the step that has appended it, and no more later.
  void answer_early(const in::Propose& propose, std::vector<Effect>& effects) {
    LogId last;
    for (const Effect& effect : effects) {
      const auto* append = std::get_if<out::Append>(&effect);
      if (append != nullptr) last = append->entries.back().id;
    }
    if (last.index == LogIndex{0}) return;
    proposed_[last.index] = propose.request;
    if (mutant_ != Mutant::committed_when_led) return;
    effects.push_back(out::Outcome{propose.request, Fate::committed, last, {}});
  }

  void drop_answered(std::vector<Effect>& effects) {
    std::vector<Effect> kept;
    for (Effect& effect : effects) {
      if (const auto* cut = std::get_if<out::Truncate>(&effect);
          cut != nullptr && mutant_ == Mutant::superseded_when_cut) {
        for (auto at = proposed_.lower_bound(cut->from); at != proposed_.end();
             at = proposed_.erase(at)) {
          if (answered_.insert(at->second).second) {
            kept.push_back(out::Outcome{at->second, Fate::superseded, {}, {}});
          }
        }
      }
      const auto* outcome = std::get_if<out::Outcome>(&effect);
      const bool once =
          mutant_ == Mutant::committed_when_led || mutant_ == Mutant::superseded_when_cut;
      if (outcome != nullptr && once && !answered_.insert(outcome->request).second) continue;
      kept.push_back(std::move(effect));
    }
    effects = std::move(kept);
  }

  void note(WriteSeq seq, Write what) {
    issued_ = seq;
    writes_[seq] = what;
  }

  void change(Effect& effect) {
    if (const auto* append = std::get_if<out::Append>(&effect)) {
      note(append->seq, Write::entries);
    } else if (const auto* cut = std::get_if<out::Truncate>(&effect)) {
      note(cut->seq, Write::truncation);
    } else if (auto* save = std::get_if<out::SaveHardState>(&effect)) {
      const bool synced = save->state.synced_epoch != synced_epoch_ &&
                          save->state.synced_epoch == save->state.epoch;
      synced_epoch_ = save->state.synced_epoch;
      note(save->seq, synced ? Write::history : Write::hard_state);
      if (mutant_ == Mutant::vote_not_saved) save->state.vote.reset();
    } else if (auto* store = std::get_if<out::StoreSnapshot>(&effect)) {
      note(store->seq, Write::image);
      if (mutant_ == Mutant::image_of_old_config) store->meta.config = base_;
    } else if (auto* install = std::get_if<out::InstallSnapshot>(&effect)) {
      note(install->seq, Write::image);
      if (mutant_ == Mutant::image_of_old_config) install->meta.config = base_;
    } else if (auto* send = std::get_if<out::Send>(&effect)) {
      if (leaves_early(send->after)) send->after = {};
    }
  }

  bool leaves_early(WriteSeq after) const {
    const auto at = writes_.find(after);
    if (at == writes_.end()) return false;
    const bool votes = at->second == Write::hard_state || at->second == Write::history;
    switch (mutant_) {
      case Mutant::send_before_sync:
        return true;
      case Mutant::ack_before_sync:
        return at->second == Write::entries || at->second == Write::image;
      case Mutant::vote_before_sync:
        return votes;
      case Mutant::cut_before_sync:
        return at->second == Write::truncation;
      case Mutant::ack_before_history:
        return at->second == Write::history;
      default:
        return false;
    }
  }

  const Mutant mutant_;
  std::unique_ptr<consensus::Module> inner_;
  const consensus::Config base_;
  const NodeId self_;
  Epoch synced_epoch_;
  Time now_;
  WriteSeq issued_;
  WriteSeq counted_;  // Told to the module as done.
  std::map<WriteSeq, Write> writes_;
  std::map<LogIndex, RequestId> proposed_;  // By the last entry.
  std::set<RequestId> answered_;
  std::set<NodeId> links_;
};

}  // namespace

std::vector<std::string_view> mutant_names() {
  std::vector<std::string_view> names;
  for (const auto& [name, mutant] : mutants) names.push_back(name);
  return names;
}

Result<Mutant> find_mutant(std::string_view name) {
  for (const auto& [known, mutant] : mutants) {
    if (known == name) return mutant;
  }
  return fail(Errc::invalid, "mutant={} is unknown; allowed are {}", name,
              fmt::join(mutant_names(), ", "));
}

Result<void> check_mutant(Mutant mutant, const consensus::Capabilities& capabilities) {
  const auto need = [](bool has, std::string_view what) -> Result<void> {
    if (has) return {};
    return fail(Errc::unsupported, "it is no bug in a module without {}", what);
  };
  switch (mutant) {
    case Mutant::read_without_quorum:
      return need(capabilities.reads, "reads");
    case Mutant::lease_without_margin:
      return need(capabilities.lease_reads, "lease reads");
    case Mutant::config_not_recovered:
      return need(capabilities.reconfigure, "changes of its configuration");
    case Mutant::image_of_old_config:
      return need(capabilities.reconfigure && capabilities.snapshots,
                  "images and changes of its configuration");
    case Mutant::ack_before_history:
    case Mutant::break_not_noticed:
      return need(capabilities.needs_fifo_links, "sessions over streams");
    default:
      return {};
  }
}

std::unique_ptr<consensus::Module> make_mutant(Mutant mutant,
                                               const consensus::ModuleFactory& factory,
                                               consensus::ModuleContext context,
                                               const consensus::Config& configured) {
  if (mutant == Mutant::none) return factory(std::move(context));
  const NodeId self = context.self.id;
  const Epoch synced = context.recovery.hard_state.synced_epoch;
  if (mutant == Mutant::lease_without_margin) context.tuning.clock_drift_ppm = 0;
  if (mutant == Mutant::config_not_recovered) {
    context.recovery.config = context.recovery.base = configured;
  }
  if (mutant == Mutant::leader_not_recovered) context.recovery.hard_state.leader.reset();
  return std::make_unique<Mutated>(mutant, factory(std::move(context)), configured, self, synced);
}

}  // namespace qlab::sim
