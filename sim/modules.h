#pragma once
// The consensus modules that can be simulated: one registration serves the simulator, the contract
// test and the experiments in virtual time.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "consensus/driver.h"
#include "consensus/model/model.h"

namespace qlab::sim {

std::vector<std::string_view> module_names();
// Errors: invalid, naming those that exist.
Result<consensus::ModuleFactory> find_module(std::string_view name);

// The executable model of the protocol, for one group. Errors: as find_module.
Result<std::shared_ptr<consensus::model::Model>> make_model(std::string_view name);

// Its messages in words, the kind's name first. Errors: as find_module.
Result<std::function<std::string(const consensus::Message&)>> find_words(std::string_view name);

// What replicas of that kind can do, asked of one that never runs.
consensus::Capabilities capabilities_of(const consensus::ModuleFactory& factory);

}  // namespace qlab::sim
