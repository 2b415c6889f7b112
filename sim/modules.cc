// The only file of the simulator that names modules.

#include "sim/modules.h"

#include "consensus/entry_log.h"
#include "raft/kraft/kraft.h"
#include "raft/kraft/messages.h"
#include "raft/kraft/model/kraft_model.h"
#include "raft/messages.h"
#include "raft/model/raft_model.h"
#include "raft/raft.h"
#include "zab/messages.h"
#include "zab/model/zab_model.h"
#include "zab/zab.h"

namespace qlab::sim {
namespace {

struct NamedModule {
  std::string_view name;
  std::unique_ptr<consensus::Module> (*make)(consensus::ModuleContext);
  std::string (*words)(const consensus::Message&);
  std::shared_ptr<consensus::model::Model> (*model)();
};
constexpr NamedModule modules[] = {
    {"raft", raft::make_raft, raft::describe, raft::model::make_raft_model},
    {"kraft", raft::kraft::make_kraft, raft::kraft::describe, raft::kraft::model::make_kraft_model},
    {"zab", zab::make_zab, zab::describe, [] { return zab::model::make_zab_model(); }}};

}  // namespace

std::vector<std::string_view> module_names() {
  std::vector<std::string_view> names;
  for (const NamedModule& module : modules) names.push_back(module.name);
  return names;
}

namespace {

Result<NamedModule> find(std::string_view name) {
  for (const NamedModule& module : modules) {
    if (module.name == name) return module;
  }
  return fail(Errc::invalid, "module={} is unknown; allowed are {}", name,
              fmt::join(module_names(), ", "));
}

}  // namespace

Result<consensus::ModuleFactory> find_module(std::string_view name) {
  TRY(const NamedModule module, find(name));
  return module.make;
}

Result<std::function<std::string(const consensus::Message&)>> find_words(std::string_view name) {
  TRY(const NamedModule module, find(name));
  return module.words;
}

Result<std::shared_ptr<consensus::model::Model>> make_model(std::string_view name) {
  TRY(const NamedModule module, find(name));
  return module.model();
}

consensus::Capabilities capabilities_of(const consensus::ModuleFactory& factory) {
  constexpr NodeId one{1};
  const consensus::EntryLog log;
  consensus::Config config;
  config.members = {{one}, {NodeId{2}}};
  const consensus::Recovery recovery{
      .hard_state = {}, .config = config, .applied = {}, .base = config};
  return factory(consensus::ModuleContext{{one, {}}, {}, recovery, log, Prng(1), Time{}})
      ->capabilities();
}

}  // namespace qlab::sim
