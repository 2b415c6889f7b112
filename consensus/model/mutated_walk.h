#pragma once
// Proof that a model can fail: a module with a bug put into its inputs or effects, driven at random
// until its model refuses a step. For tests.

#include "consensus/model/model.h"
#include "consensus/step_world.h"

namespace qlab::consensus::model {

struct Mutation {
  std::string_view name;
  std::string_view action;  // Of the rule that the model must name.
  std::string_view clause;
  // What the module hears in place of the input; the model hears the input itself. May be null.
  std::function<Input(const Input&, const Status&)> hears = {};
  // Rewrites what a step has made; may be null. `status` is that after the step.
  std::function<void(const Input&, const Status&, std::vector<Effect>&)> makes = {};
};

struct MutatedGroup {
  Factory factory;
  std::function<std::shared_ptr<Model>()> model;
  StepWorld::Options options;
  bool changes = false;  // Members come and go, leadership is handed over.
  bool images = false;   // Logs are forgotten before their images.
};

// Walks one seed after the other, at most `seeds`, until a step is refused.
std::optional<Refusal> first_refusal(const MutatedGroup& group, const Mutation& mutation,
                                     std::uint64_t seeds);

}  // namespace qlab::consensus::model
