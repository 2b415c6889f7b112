#pragma once
// The consensus modules that can be simulated, and the known bugs that can be put into them.

#include <memory>
#include <string_view>
#include <vector>

#include "consensus/driver.h"

namespace qlab::sim {

std::vector<std::string_view> module_names();
// Errors: invalid, naming those that exist.
Result<consensus::ModuleFactory> find_module(std::string_view name);

// A bug that a careless module or driver could have, put in between the two. A mutant that the
// simulator does not find is a hole in the simulator.
enum class Mutant : std::uint8_t {
  none,
  send_before_sync,  // Messages leave before the writes they promise are durable.
};
std::vector<std::string_view> mutant_names();
Result<Mutant> find_mutant(std::string_view name);

// Changes what a step asked for into what the mutant asks for.
void mutate(Mutant mutant, std::vector<consensus::Effect>& effects);

}  // namespace qlab::sim
