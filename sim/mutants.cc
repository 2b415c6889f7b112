#include "sim/mutants.h"

#include <utility>

namespace qlab::sim {
namespace {

using consensus::Effect;
namespace out = consensus::out;

constexpr std::pair<std::string_view, Mutant> mutants[] = {
    {"none", Mutant::none},
    {"send_before_sync", Mutant::send_before_sync},
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

void mutate(Mutant mutant, std::vector<Effect>& effects) {
  for (Effect& effect : effects) {
    if (mutant == Mutant::send_before_sync) {
      if (auto* send = std::get_if<out::Send>(&effect)) send->after = {};
    }
  }
}

}  // namespace qlab::sim
