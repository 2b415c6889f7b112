// The only file of the simulator that names modules.

#include "sim/modules.h"

#include <utility>

#include "raft/raft.h"

namespace qlab::sim {
namespace {

using consensus::Effect;
namespace out = consensus::out;

struct NamedModule {
  std::string_view name;
  std::unique_ptr<consensus::Module> (*make)(consensus::ModuleContext);
};
constexpr NamedModule modules[] = {{"raft", raft::make_raft}};

constexpr std::pair<std::string_view, Mutant> mutants[] = {
    {"none", Mutant::none},
    {"send_before_sync", Mutant::send_before_sync},
};

}  // namespace

std::vector<std::string_view> module_names() {
  std::vector<std::string_view> names;
  for (const NamedModule& module : modules) names.push_back(module.name);
  return names;
}

Result<consensus::ModuleFactory> find_module(std::string_view name) {
  for (const NamedModule& module : modules) {
    if (module.name == name) return module.make;
  }
  return fail(Errc::invalid, "module={} is unknown; allowed are {}", name,
              fmt::join(module_names(), ", "));
}

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
