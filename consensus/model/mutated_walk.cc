#include "consensus/model/mutated_walk.h"

#include <fmt/format.h>

namespace qlab::consensus::model {
namespace {

class Mutated final : public Module {
 public:
  Mutated(std::unique_ptr<Module> inner, const Mutation& mutation)
      : inner_(std::move(inner)), mutation_(mutation) {}

  Capabilities capabilities() const override { return inner_->capabilities(); }
  void step(Time now, const Input& input, std::vector<Effect>& effects) override {
    inner_->step(now, mutation_.hears ? mutation_.hears(input, inner_->status()) : input, effects);
    if (mutation_.makes) mutation_.makes(input, inner_->status(), effects);
  }
  Time next_deadline() const override { return inner_->next_deadline(); }
  Status status() const override { return inner_->status(); }
  std::uint64_t digest() const override { return inner_->digest(); }
  void check_invariants() const override {}  // The model is to find it.

 private:
  std::unique_ptr<Module> inner_;
  const Mutation& mutation_;
};

struct Refused {  // Thrown out of a step: what comes of it would be nonsense.
  Refusal refusal;
};

// Another one counts, or watches.
in::Reconfigure change_of(const Config& config, Prng& random, RequestId request) {
  in::Reconfigure change{request, config};
  for (Member& member : change.target.members) {
    member.role = random.chance(0.6) ? MemberRole::voter : MemberRole::observer;
  }
  return change;
}

void act(StepWorld& world, Prng& random, const MutatedGroup& group, std::uint64_t& requests) {
  const auto nodes = world.nodes().size();
  const auto any = [&] { return NodeId{static_cast<std::int32_t>(1 + random.below(nodes))}; };
  const NodeId a = any();
  const NodeId b = any();
  const double what = random.unit();
  if (!world.is_up(a)) {
    if (random.chance(0.2)) world.restart(a);
  } else if (what < 0.005) {
    world.crash(a);
  } else if (what < 0.02 && a != b) {
    world.disconnect(a, b);
  } else if (what < 0.05 && a != b) {
    world.connect(a, b);
  } else if (what < 0.08) {
    world.advance(std::chrono::milliseconds(random.below(600)));
  } else if (what < 0.2) {
    const std::string words = fmt::format("r{}", ++requests);
    const ByteView body = as_view(words);
    world.step(a, in::Propose{RequestId{requests},
                              {std::make_shared<const Bytes>(body.begin(), body.end())},
                              std::nullopt});
  } else if (what < 0.22) {
    world.step(a, in::Read{RequestId{++requests}});
  } else if (what < 0.225 && group.changes) {
    world.step(a, in::Transfer{RequestId{++requests}, random.chance(0.3) ? no_node : b});
  } else if (what < 0.24 && group.changes) {
    world.step(a, change_of(group.options.config, random, RequestId{++requests}));
  } else if (what < 0.25 && group.images) {
    world.take_snapshot(a, random.below(4));
  } else if (what < 0.5) {
    world.write(a, 1 + random.below(3));
  } else {
    for (int tries = 0; tries < 20 && !world.deliver(any(), any()); ++tries) continue;
  }
}

}  // namespace

std::optional<Refusal> first_refusal(const MutatedGroup& group, const Mutation& mutation,
                                     std::uint64_t seeds) {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const Factory mutated = [&](ModuleContext context) {
      return std::make_unique<Mutated>(group.factory(std::move(context)), mutation);
    };
    StepWorld::Options options = group.options;
    options.seed = seed;
    StepWorld world(
        watch(mutated, group.model(), [](const Refusal& refusal) { throw Refused{refusal}; }),
        options);
    Prng random(seed);
    std::uint64_t requests = 0;
    try {
      for (const Member& member : options.config.members) world.add(member.id);
      for (int i = 0; i < 3000; ++i) act(world, random, group, requests);
    } catch (const Refused& refused) {
      return refused.refusal;
    }
  }
  return std::nullopt;
}

}  // namespace qlab::consensus::model
