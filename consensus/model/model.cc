#include "consensus/model/model.h"

#include <fmt/format.h>

namespace qlab::consensus::model {
namespace {

class Watched final : public Module {
 public:
  Watched(std::unique_ptr<Module> inner, NodeId self, const Tuning& tuning,
          std::shared_ptr<Model> model, OnRefusal on_refusal)
      : inner_(std::move(inner)),
        self_(self),
        tuning_(tuning),
        model_(std::move(model)),
        on_refusal_(std::move(on_refusal)) {}

  Capabilities capabilities() const override { return inner_->capabilities(); }
  void step(Time now, const Input& input, std::vector<Effect>& effects) override {
    inner_->step(now, input, effects);
    model_->attend(self_, now, tuning_);
    const auto refusal = model_->step(self_, input, effects, inner_->status());
    if (refusal) on_refusal_(*refusal);
  }
  Time next_deadline() const override { return inner_->next_deadline(); }
  Status status() const override { return inner_->status(); }
  std::uint64_t digest() const override { return inner_->digest(); }
  void check_invariants() const override { inner_->check_invariants(); }

 private:
  std::unique_ptr<Module> inner_;
  const NodeId self_;
  const Tuning tuning_;
  std::shared_ptr<Model> model_;
  OnRefusal on_refusal_;
};

}  // namespace

std::string Refusal::words() const {
  return fmt::format("node {}: {} ({}): {}; seen: {}", node, rule.action, rule.clause,
                     rule.expected, seen);
}

Factory watch(Factory factory, std::shared_ptr<Model> model, OnRefusal on_refusal) {
  return [factory = std::move(factory), model = std::move(model),
          on_refusal = std::move(on_refusal)](ModuleContext context) -> std::unique_ptr<Module> {
    const NodeId self = context.self.id;
    const Tuning tuning = context.tuning;
    model->attend(self, context.now, tuning);
    const auto refusal = model->recover(context.self, context.recovery, context.log);
    if (refusal) on_refusal(*refusal);
    auto module = factory(std::move(context));
    return std::make_unique<Watched>(std::move(module), self, tuning, model, on_refusal);
  };
}

Factory watch_groups(Factory factory, std::function<std::shared_ptr<Model>()> model,
                     OnRefusal on_refusal) {
  return
      [factory = std::move(factory), model = std::move(model), on_refusal = std::move(on_refusal),
       watched = std::make_shared<Factory>()](ModuleContext context) {
        const bool begins = context.self.id == NodeId{1} && context.now == Time{} &&
                            context.recovery.hard_state == HardState{};
        if (begins) *watched = watch(factory, model(), on_refusal);
        return (*watched)(std::move(context));
      };
}

}  // namespace qlab::consensus::model
