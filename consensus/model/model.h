#pragma once
// An executable model of a protocol, which is shown every step of a group and says whether the
// paper allows it.
//
// A model is written from the paper and not from a module: it holds the whole group as plain values
// (replica.h) and shares no code with what it judges but the values, the seam and the decoders of
// messages. When to do something is left free (timeouts, batches, what to send to whom); what may
// be done is not: whom to vote for, what is appended, cut and committed, what a message says of its
// sender, and what is durable before anybody hears of it.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "consensus/module.h"

namespace qlab::consensus::model {

// What a step must keep. All of static storage.
struct Rule {
  std::string_view action;    // Of the protocol's specification.
  std::string_view clause;    // Where it says so.
  std::string_view expected;  // What holds.
};

struct Refusal {
  NodeId node;
  Rule rule;
  std::string seen;

  std::string words() const;
};

class Model {
 public:
  virtual ~Model() = default;

  // A replica comes up with what its disk has; called before its first step.
  // Returns why it could not have that; nothing when it could.
  virtual std::optional<Refusal> recover(ReplicaKey self, const Recovery& recovery,
                                         const LogView& log) = 0;

  // What a replica's clock and settings are; called before recover and before each step. For a
  // protocol that promises something in time.
  virtual void attend(NodeId /*node*/, Time /*now*/, const Tuning& /*tuning*/) {}

  // `status` is what the module says of itself after the step.
  // Returns the first rule that is broken. What comes after a refusal is not judged any more.
  // Requires: called for every step, in the order of the group's history.
  virtual std::optional<Refusal> step(NodeId node, const Input& input,
                                      const std::vector<Effect>& effects, const Status& status) = 0;
};

using Factory = std::function<std::unique_ptr<Module>(ModuleContext)>;
using OnRefusal = std::function<void(const Refusal&)>;

// Modules as `factory` makes them, with every step shown to `model`.
Factory watch(Factory factory, std::shared_ptr<Model> model, OnRefusal on_refusal);

// The same for groups one after the other, as scripts have them: each begins with node 1 at time
// zero, with an empty disk, and has a model of its own.
Factory watch_groups(Factory factory, std::function<std::shared_ptr<Model>()> model,
                     OnRefusal on_refusal);

}  // namespace qlab::consensus::model
