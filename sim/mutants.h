#pragma once
// Known bugs that can be put between a module and its driver, as a careless one of either could
// have them. A mutant that the simulator does not find is a hole in the simulator.

#include <string_view>
#include <vector>

#include "common/result.h"
#include "consensus/module.h"

namespace qlab::sim {

enum class Mutant : std::uint8_t {
  none,
  send_before_sync,  // Messages leave before the writes they promise are durable.
};
std::vector<std::string_view> mutant_names();
Result<Mutant> find_mutant(std::string_view name);

// Changes what a step asked for into what the mutant asks for.
void mutate(Mutant mutant, std::vector<consensus::Effect>& effects);

}  // namespace qlab::sim
