// The contract: who leads, from when on and until when, and how it is handed over.
#include "consensus/contract_test.h"

namespace qlab::consensus::contract {
namespace {

const Need transfers("transfer of leadership", &Capabilities::transfer);

BOOST_AUTO_TEST_SUITE(consensus_contract_leadership)

BOOST_DATA_TEST_CASE(leadership_is_handed_to_who_was_named, all_modules()) {
  if (!transfers.check(sample)) return;
  ContractGroup group(1, group_of(sample));
  group.fill(5);
  for (int round = 0; round < 5; ++round) {
    const auto old = group.must_elect();
    const Epoch epoch = *old->machine.active;
    const NodeId next = group.a_follower();
    const auto done = run(group.world, old->id(), old->driver->transfer(next));
    BOOST_REQUIRE_MESSAGE(done.has_value(), (done ? "" : done.error().message()));
    BOOST_REQUIRE(group.eventually([&] { return group.node(next)->machine.active.has_value(); }));
    BOOST_TEST((*group.node(next)->machine.active > epoch));
    BOOST_TEST(!old->machine.active.has_value());
    group.fill(1);
    BOOST_TEST((group.leader_id() == next));
  }
  group.must_agree();
}

// Raft leads on then; KRaft may resign, and who is next in the order of succession takes over.
BOOST_DATA_TEST_CASE(a_transfer_to_who_is_down_fails, all_modules()) {
  if (!transfers.check(sample)) return;
  ContractGroup group(2, group_of(sample));
  group.fill(1);
  const auto leader = group.must_elect();
  const NodeId down = group.a_follower();
  group.crash(down);
  const auto done = run(group.world, leader->id(), leader->driver->transfer(down));
  BOOST_REQUIRE(!done.has_value());
  const bool leads_on = group.must_elect() == leader;
  BOOST_TEST((done.error().code == (leads_on ? Errc::invalid : Errc::not_leader)));
  group.fill(3);
  group.boot(down);
  group.must_agree();
}

BOOST_DATA_TEST_CASE(who_does_not_lead_hands_over_nothing, all_modules()) {
  ContractGroup group(3, group_of(sample));
  group.fill(1);
  const NodeId other = group.a_follower();
  const auto done = run(group.world, other, group.node(other)->driver->transfer(std::nullopt));
  BOOST_REQUIRE(!done.has_value());
  const bool can = sim::capabilities_of(sample.factory).transfer;
  BOOST_TEST((done.error().code == (can ? Errc::not_leader : Errc::unsupported)));
}

// Leaders resign, die and are cut off, over and over. The machines CHECK that between two epochs
// there is nothing, that epochs grow and that only our own entries are applied in one.
BOOST_DATA_TEST_CASE(one_leads_an_epoch_and_begins_with_all_that_was_acknowledged, all_modules()) {
  std::size_t activations = 0;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    ContractGroup group(seed, group_of(sample));
    group.on_activated = [&](std::size_t applied) {
      ++activations;
      BOOST_TEST((static_cast<std::int64_t>(applied) >= group.acknowledged().value()));
    };
    std::map<Epoch, NodeId> leaders;
    for (int round = 0; round < 12; ++round) {
      auto leader = group.must_elect();
      const NodeId id = leader->id();
      const auto [at, added] = leaders.try_emplace(*leader->machine.active, id);
      BOOST_TEST((at->second == id));
      for (int i = 0; i < 5; ++i) {
        leader->propose(fmt::format("{}-{}", round, i), leader->machine.active, group.fates);
      }
      group.world.run_for(milliseconds(round));
      if (round % 3 == 0) {
        const Epoch epoch = *leader->machine.active;
        leader->driver->resign(epoch);
        BOOST_TEST(!leader->machine.active.has_value());
        BOOST_TEST(
            (group.propose(leader, fmt::format("{} late", round), epoch).fate == Fate::rejected));
      } else if (round % 3 == 1) {
        leader.reset();
        group.crash(id);
        group.fill(2);
        group.boot(id);
      } else {
        for (const NodeId other : group.ids()) {
          if (other != id) group.world.fabric().block(id, other);
        }
        group.eventually([&] { return group.leader() && group.leader() != leader; });
        group.fill(2);
        group.world.fabric().heal();
      }
    }
    group.must_agree();
  }
  BOOST_TEST(activations >= 40u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::consensus::contract
