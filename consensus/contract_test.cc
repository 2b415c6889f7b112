// What every consensus module owes its users, held against each of them over the simulated runtime:
// one order, and nothing acknowledged is lost. contract_*_test.cc have the rest.
#include "consensus/contract_test.h"

namespace qlab::consensus::contract {
namespace {

// A group that works while nodes die, disks forget and links break, all from one seed.
class Storm {
 public:
  Storm(std::uint64_t seed, const NamedModule& module)
      : random_(seed), group_(random_.next(), options_of(module)) {
    group_.on_activated = [this](std::size_t applied) {
      BOOST_TEST((static_cast<std::int64_t>(applied) >= group_.acknowledged().value()));
    };
  }

  // Returns a digest of all that happened.
  std::uint64_t blow(Duration duration) {
    const Time end = group_.world.now() + duration;
    while (group_.world.now() < end) {
      group_.world.run_for(milliseconds(1 + random_.below(20)));
      work();
      strike();
    }
    calm();
    return group_.world.digest();
  }
  std::size_t committed() const {
    std::size_t count = 0;
    for (const auto& [body, result] : group_.fates) count += result.fate == Fate::committed ? 1 : 0;
    return count;
  }
  std::size_t crashes() const { return crashes_; }

 private:
  GroupOptions options_of(const NamedModule& module) {
    GroupOptions options = group_of(module, random_.chance(0.7) ? 3 : 5);
    if (random_.chance(0.5)) options = with_images(std::move(options));
    options.tuning.pre_vote = random_.chance(0.7);
    options.tuning.check_quorum = random_.chance(0.7);
    options.tuning.link_down_is_suspicion = random_.chance(0.5);
    options.tuning.inflight_messages_max = 1 + random_.below(8);
    options.tuning.batch_bytes_max = 1 + random_.below(200);
    options.linger = milliseconds(random_.below(3));
    return options;
  }

  void work() {
    for (const NodeId id : group_.ids()) {
      const auto node = group_.node(id);
      if (!node || !node->machine.active) continue;
      for (std::uint64_t i = random_.below(4); i > 0; --i) {
        node->propose(fmt::format("p{}", ++proposals_), node->machine.active, group_.fates);
      }
    }
    track_activations();
  }

  // One leader is active in an epoch, and it has applied an entry of that epoch or all before it.
  void track_activations() {
    for (const NodeId id : group_.ids()) {
      const auto node = group_.node(id);
      if (!node || !node->machine.active) continue;
      const auto [at, added] = active_.try_emplace(*node->machine.active, id);
      BOOST_TEST((at->second == id));
    }
  }

  void strike() {
    const auto ids = group_.ids();
    const NodeId id = ids[random_.below(ids.size())];
    std::size_t up = 0;
    for (const NodeId one : ids) up += group_.world.node(one).is_up() ? 1 : 0;
    if (!group_.world.node(id).is_up()) {
      if (random_.chance(0.1)) group_.boot(id);
    } else if (up > ids.size() / 2 + 1 && random_.chance(0.02)) {
      ++crashes_;
      group_.crash(id, {.lose_unsynced = random_.chance(0.8), .silent = random_.chance(0.3)});
    } else if (up > ids.size() / 2 + 1 && random_.chance(0.02)) {
      ++crashes_;
      group_.world.node(id).disk().crash_at_change(1 + random_.below(6));
    } else if (random_.chance(0.01)) {
      group_.world.pause(id);
      group_.world.after(milliseconds(random_.below(800)), [this, id] { group_.world.resume(id); });
    }
  }

  // All come back, and agree; and what was promised is what is there.
  void calm() {
    // Pauses end, and crashes that wait for a change of the disk get their changes.
    for (int round = 0; round < 20; ++round) {
      for (const NodeId id : group_.ids()) {
        if (!group_.world.node(id).is_up()) group_.boot(id);
      }
      group_.world.run_for(seconds(1));
      if (const auto leader = group_.leader()) {
        leader->propose(fmt::format("calm{}", round), std::nullopt, group_.fates);
      }
    }
    group_.world.run_for(seconds(1));
    group_.must_agree();
  }

  Prng random_;
  ContractGroup group_;
  std::map<Epoch, NodeId> active_;
  std::uint64_t proposals_ = 0;
  std::size_t crashes_ = 0;
};

BOOST_AUTO_TEST_SUITE(consensus_contract)

BOOST_DATA_TEST_CASE(all_nodes_apply_the_same_entries_in_one_order, all_modules()) {
  Group group(1, group_of(sample));
  BOOST_REQUIRE(group.elect());
  for (int i = 0; i < 100; ++i) group.leader()->propose(fmt::format("p{}", i), {}, group.fates);
  BOOST_REQUIRE(
      group.world.run_until([&] { return group.fates.size() == 100; }, seconds(10)).has_value());
  BOOST_REQUIRE(group.world.run_until([&] { return group.agree(100); }, seconds(10)).has_value());
  std::int64_t before = 0;
  for (int i = 0; i < 100; ++i) {  // In the order in which one node proposed them.
    const auto& result = group.fates.at(fmt::format("p{}", i));
    BOOST_TEST((result.fate == Fate::committed));
    BOOST_TEST(result.at.index.value() > before);
    before = result.at.index.value();
  }
}

BOOST_DATA_TEST_CASE(what_was_acknowledged_survives_crashes_at_any_write, all_modules()) {
  std::size_t committed = 0;
  std::size_t crashes = 0;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Storm storm(seed, sample);
      storm.blow(seconds(20));
      committed += storm.committed();
      crashes += storm.crashes();
    }
  }
  BOOST_TEST(committed > 1000u);
  BOOST_TEST(crashes > 100u);
}

BOOST_DATA_TEST_CASE(the_same_seed_gives_the_same_run, all_modules()) {
  for (std::uint64_t seed = 100; seed < 103; ++seed) {
    BOOST_TEST(Storm(seed, sample).blow(seconds(5)) == Storm(seed, sample).blow(seconds(5)));
  }
}

BOOST_DATA_TEST_CASE(a_primary_is_active_after_it_applied_the_past_and_not_after_it_resigned,
                     all_modules()) {
  Group group(5, group_of(sample));
  BOOST_REQUIRE(group.elect());
  const auto first = group.leader();
  const auto proposed = group.propose(first, "x");
  BOOST_TEST((proposed.fate == Fate::committed));
  const Epoch epoch = *first->machine.active;
  first->driver->resign(epoch.next());  // Of another epoch: nothing.
  BOOST_TEST((first->machine.active == epoch));
  first->driver->resign(epoch);
  BOOST_TEST(!first->machine.active.has_value());
  BOOST_REQUIRE(group.elect());
  const auto second = group.leader();
  BOOST_TEST((*second->machine.active > epoch));
  BOOST_TEST(second->machine.applied_at_activation >=
             static_cast<std::size_t>(proposed.at.index.value()));
}

BOOST_DATA_TEST_CASE(a_group_of_one_acknowledges_what_is_durable, all_modules()) {
  Group group(6, group_of(sample, 1));
  BOOST_REQUIRE(group.elect());
  for (int i = 0; i < 50; ++i) {
    const std::string body = fmt::format("entry number {}", i);
    BOOST_TEST((group.propose(group.leader(), body).fate == Fate::committed));
    const auto durable =
        group.world.node(NodeId{1}).disk().durable("metadata/log-00000000000000000001");
    BOOST_REQUIRE(durable.has_value());
    BOOST_TEST(as_text(*durable).find(body) != std::string_view::npos);
  }
}

BOOST_DATA_TEST_CASE(a_node_whose_sync_fails_stops_and_the_others_go_on, all_modules()) {
  Group group(7, group_of(sample));
  BOOST_REQUIRE(group.elect());
  const auto broken = group.leader();
  const NodeId id = *broken->driver->status().leader;
  group.world.node(id).disk().set_fault_hook([](const runtime::DiskAccess& access) {
    runtime::DiskFault fault;
    if (access.operation == runtime::DiskOperation::sync) fault.error = 5;  // EIO
    return fault;
  });
  broken->propose("never durable there", std::nullopt, group.fates);
  BOOST_REQUIRE(
      group.world.run_until([&] { return broken->failed.has_value(); }, seconds(5)).has_value());
  BOOST_TEST((broken->failed->code == Errc::io));
  const bool others =
      group.world.run_until([&] { return group.leader() && group.leader() != broken; }, seconds(30))
          .has_value();
  BOOST_TEST(others);
  BOOST_TEST((group.propose(broken, "too late").fate == Fate::rejected));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::consensus::contract
