#pragma once
// What the tests of the contract share: every module that is registered, what a case needs of one,
// and a group that is asked for things until it gives them.

#include <string>
#include <vector>

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "consensus/group_test.h"
#include "sim/modules.h"

namespace qlab::consensus::contract {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct NamedModule {
  std::string_view name;
  ModuleFactory factory;
};
inline std::ostream& operator<<(std::ostream& out, const NamedModule& module) {
  return out << module.name;
}
inline const std::vector<NamedModule>& all_modules() {
  static const std::vector<NamedModule> all = [] {
    std::vector<NamedModule> found;
    for (const std::string_view name : sim::module_names()) {
      found.push_back({name, sim::find_module(name).value()});
    }
    return found;
  }();
  return all;
}

// What a case needs of a module. Each is made before any test runs, so that one test can tell who
// leaves out what.
class Need {
 public:
  Need(std::string_view what, bool Capabilities::*capability)
      : what_(what), capability_(capability) {
    all().push_back(this);
  }
  Need(const Need&) = delete;
  Need& operator=(const Need&) = delete;

  bool is_met_by(const NamedModule& module) const {
    return sim::capabilities_of(module.factory).*capability_;
  }
  // False, and says so, when the case must be left out.
  bool check(const NamedModule& module) const {
    if (is_met_by(module)) return true;
    fmt::print("left out, as it cannot: {}\n", words(module));
    return false;
  }
  std::string words(const NamedModule& module) const {
    return fmt::format("{}: {}", module.name, what_);
  }
  static std::vector<const Need*>& all() {
    static std::vector<const Need*> needs;
    return needs;
  }

 private:
  std::string_view what_;
  bool Capabilities::*capability_;
};

inline GroupOptions group_of(const NamedModule& module, int voters = 3) {
  GroupOptions options;
  options.factory = module.factory;
  options.voters = voters;
  return options;
}

// Images as often as possible, in many small files and chunks.
inline GroupOptions with_images(GroupOptions options) {
  options.snapshot_interval_bytes = 500;
  options.snapshot_keep_entries = 3;
  options.log_file_bytes = 500;
  options.tuning.snapshot_chunk_bytes = 200;
  return options;
}

class ContractGroup : public Group {
 public:
  using Group::Group;

  // Nobody may hold it while it dies.
  std::shared_ptr<GroupNode> must_elect() {
    BOOST_REQUIRE(elect());
    return leader();
  }
  NodeId leader_id() { return must_elect()->id(); }
  // A voter that does not lead.
  NodeId a_follower() {
    const NodeId leading = leader_id();
    for (const NodeId id : ids()) {
      if (id != leading && node(id)) return id;
    }
    return no_node;
  }
  bool eventually(const std::function<bool()>& holds, Duration limit = seconds(60)) {
    return world.run_until(holds, limit).has_value();
  }

  // Commits `count` entries, one after the other, whoever leads.
  void fill(int count, std::size_t bytes = 60) {
    for (int i = 0; i < count; ++i) must_commit(std::string(bytes, '.'));
  }
  ProposeResult must_commit(const std::string& words) {
    for (int tries = 0; tries < 20; ++tries) {
      const NodeId id = leader_id();
      const std::string body = fmt::format("{} #{}", words, ++proposed_);
      const std::uint64_t life = world.node(id).life();
      node(id)->propose(body, std::nullopt, fates);
      eventually([&] { return fates.contains(body) || world.node(id).life() != life; });
      if (fates.contains(body) && fates.at(body).fate == Fate::committed) return fates.at(body);
    }
    BOOST_REQUIRE_MESSAGE(false, "nobody commits");
    return {};
  }
  // Whether something new is committed within some seconds.
  bool commits(Duration limit = seconds(10)) {
    const std::string body = fmt::format("try #{}", ++proposed_);
    const auto at = leader();
    if (!at) return false;
    at->propose(body, std::nullopt, fates);
    return eventually(
        [&] { return fates.contains(body) && fates.at(body).fate == Fate::committed; }, limit);
  }

  Config config_of(const std::vector<int>& members) const {
    Config config;
    for (const int id : members) config.members.push_back(options().member(NodeId{id}));
    return config;
  }
  // Asks whoever leads until it is done.
  void must_reconfigure(const Config& target) {
    std::string why = "nobody leads";
    for (int tries = 0; tries < 100; ++tries) {
      const NodeId id = leader_id();
      const auto asked = runtime::begin(world, id, node(id)->driver->reconfigure(target));
      if (!eventually([&] { return asked->value.has_value(); })) break;
      if (asked->value->has_value()) return;
      why = asked->value->error().message();
      world.run_for(milliseconds(100));
    }
    BOOST_REQUIRE_MESSAGE(false, why);
  }

  // All of them have all that was acknowledged, in its place, and the same.
  void must_agree(const std::vector<NodeId>& nodes) {
    const auto last = must_commit("last");
    const auto count = static_cast<std::size_t>(last.at.index.value());
    BOOST_REQUIRE(eventually([&] { return agree(count, nodes); }));
    const auto& first = node(nodes[0])->machine.applied;
    for (const NodeId id : nodes) {
      const auto& other = node(id)->machine.applied;
      for (std::size_t i = 0; i < first.size(); ++i) {
        BOOST_REQUIRE((first[i].id == other[i].id && *first[i].body == *other[i].body));
      }
    }
    check_fates(first);
  }
  void must_agree() { must_agree(ids()); }

  // Looks at, or changes, the disk of a node that is down.
  template <class Act>
  auto at_disk(NodeId id, Act act) {
    world.boot(id, [](runtime::Runtime&) { return std::make_shared<int>(0); });
    auto seen = act(world.node(id).disk());
    world.crash(id, {.lose_unsynced = false});
    return seen;
  }
  void boot_all() {
    for (const NodeId id : all_ids()) {
      if (!world.node(id).is_up()) boot(id);
    }
  }

  // The last entry whose commit was told to anybody.
  LogIndex acknowledged() const {
    LogIndex last;
    for (const auto& [body, result] : fates) {
      if (result.fate == Fate::committed) last = std::max(last, result.at.index);
    }
    return last;
  }
  std::size_t count(Fate fate) const {
    std::size_t found = 0;
    for (const auto& [body, result] : fates) found += result.fate == fate ? 1 : 0;
    return found;
  }

 private:
  void check_fates(const std::vector<Entry>& applied) {
    std::map<std::string, LogId> found;
    for (const Entry& entry : applied) {
      if (entry.kind != EntryKind::data) continue;
      BOOST_TEST((found.emplace(as_text(*entry.body), entry.id).second));  // None comes twice.
    }
    for (const auto& [body, result] : fates) {
      if (result.fate == Fate::committed) {
        BOOST_TEST((found.contains(body) && found[body] == result.at), body << " was lost");
      } else if (result.fate != Fate::unknown) {
        BOOST_TEST(!found.contains(body), body << " was refused and happened");
      }
    }
  }

  int proposed_ = 0;
};

}  // namespace qlab::consensus::contract
