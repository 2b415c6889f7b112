// The contract: what a proposer is told is what happened.
#include "consensus/contract_test.h"

namespace qlab::consensus::contract {
namespace {

BOOST_AUTO_TEST_SUITE(consensus_contract_fates)

BOOST_DATA_TEST_CASE(who_does_not_lead_rejects_and_says_who_does, all_modules()) {
  ContractGroup group(2, group_of(sample));
  const auto leader = group.must_elect();
  group.world.run_for(seconds(1));
  for (const NodeId id : group.ids()) {
    if (group.node(id) == leader) continue;
    const auto result = group.propose(group.node(id), fmt::format("at{}", id));
    BOOST_TEST((result.fate == Fate::rejected));
    BOOST_TEST((result.hint == leader->driver->status().leader));
  }
  const Epoch next = leader->machine.active->next();
  BOOST_TEST((group.propose(leader, "wrong epoch", next).fate == Fate::rejected));
  group.must_agree();
}

BOOST_DATA_TEST_CASE(what_is_committed_is_applied_where_it_was_proposed, all_modules()) {
  ContractGroup group(3, group_of(sample));
  const auto leader = group.must_elect();
  const auto result = group.propose(leader, "x");
  BOOST_REQUIRE((result.fate == Fate::committed));
  const auto at = static_cast<std::size_t>(result.at.index.value());
  BOOST_REQUIRE(leader->machine.applied.size() >= at);
  BOOST_TEST((leader->machine.applied[at - 1].id == result.at));
  BOOST_TEST((as_text(*leader->machine.applied[at - 1].body) == "x"));
}

BOOST_DATA_TEST_CASE(more_than_may_wait_is_overloaded_and_does_not_happen, all_modules()) {
  GroupOptions options = group_of(sample);
  options.tuning.uncommitted_bytes_max = 1000;
  ContractGroup group(4, options);
  const auto leader = group.must_elect();
  for (int i = 0; i < 40; ++i) {
    leader->propose(fmt::format("{} {}", i, std::string(100, '.')), {}, group.fates);
  }
  BOOST_REQUIRE(group.eventually([&] { return group.fates.size() == 40; }));
  BOOST_TEST(group.count(Fate::overloaded) > 10u);
  BOOST_TEST(group.count(Fate::committed) > 5u);
  BOOST_TEST(group.count(Fate::overloaded) + group.count(Fate::committed) == 40u);
  group.must_agree();
}

BOOST_DATA_TEST_CASE(a_leader_that_is_cut_off_cannot_say_what_became_of_a_proposal, all_modules()) {
  ContractGroup group(3, group_of(sample));
  const auto old = group.must_elect();
  const NodeId id = old->id();
  for (const NodeId other : group.ids()) {
    if (other != id) group.crash(other);
  }
  const auto result = group.propose(old, "lost in space");
  BOOST_TEST((result.fate == Fate::unknown));
  BOOST_TEST(!old->machine.active.has_value());
  group.boot_all();
  group.must_agree();
}

// Of an old leader that hears of what was committed instead, before it has given up to hear.
BOOST_DATA_TEST_CASE(what_another_leader_overwrote_is_superseded, all_modules()) {
  std::size_t superseded = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    GroupOptions options = group_of(sample);
    options.tuning.check_quorum = false;
    ContractGroup group(seed, options);
    const auto old = group.must_elect();
    const NodeId id = old->id();
    group.must_agree();
    for (const NodeId other : group.ids()) {
      if (other != id) group.world.fabric().block(id, other);
      if (other != id) group.world.fabric().block(other, id);
    }
    old->propose("overwritten", std::nullopt, group.fates);
    const bool replaced =
        group.eventually([&] { return group.leader() && group.leader() != old; }, seconds(10));
    group.world.fabric().heal();
    if (replaced) group.propose(group.leader(), "instead");
    BOOST_REQUIRE(group.eventually([&] { return group.fates.contains("overwritten"); }));
    const Fate fate = group.fates.at("overwritten").fate;
    superseded += fate == Fate::superseded ? 1 : 0;
    BOOST_TEST((fate == Fate::superseded || fate == Fate::unknown || fate == Fate::committed));
    group.must_agree();
  }
  BOOST_TEST(superseded >= 3u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::consensus::contract
