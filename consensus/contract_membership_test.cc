// The contract: who is a member, and how that changes while the group works.
#include "consensus/contract_test.h"

namespace qlab::consensus::contract {
namespace {

const Need changes("membership", &Capabilities::reconfigure);
const Need disks("a wiped disk is another member", &Capabilities::named_disks);

GroupOptions with_a_spare(const NamedModule& module) {
  GroupOptions options = group_of(module);
  options.spares = 1;
  return options;
}

// All these have it, and no change is under way.
bool have(ContractGroup& group, const std::vector<int>& nodes, const Config& config) {
  return group.eventually([&] {
    for (const int id : nodes) {
      const auto one = group.node(NodeId{id});
      if (!one || !(one->driver->config() == config)) return false;
    }
    return true;
  });
}

BOOST_AUTO_TEST_SUITE(consensus_contract_membership)

BOOST_DATA_TEST_CASE(a_member_that_is_added_gets_everything_and_counts, all_modules()) {
  if (!changes.check(sample)) return;
  ContractGroup group(1, with_a_spare(sample));
  group.fill(10);
  const Config target = group.config_of({1, 2, 3, 4});
  group.must_reconfigure(target);
  BOOST_TEST(have(group, {1, 2, 3, 4}, target));
  group.must_agree(group.all_ids());
  // Three of four are a quorum, and two are none.
  const NodeId leader = group.leader_id();
  const NodeId first = group.a_follower();
  group.crash(first);
  group.fill(1);
  BOOST_REQUIRE((group.leader_id() == leader));
  group.crash(group.a_follower());
  BOOST_TEST(!group.commits());
  group.boot(first);
  group.fill(1);
}

BOOST_DATA_TEST_CASE(a_member_that_is_removed_is_needed_no_longer, all_modules()) {
  if (!changes.check(sample)) return;
  ContractGroup group(2, group_of(sample, 4));
  group.fill(3);
  const int gone = group.a_follower().value();
  std::vector<int> rest;
  for (int id = 1; id <= 4; ++id) {
    if (id != gone) rest.push_back(id);
  }
  const Config target = group.config_of(rest);
  group.must_reconfigure(target);
  BOOST_TEST(have(group, rest, target));
  group.crash(NodeId{gone});
  group.crash(group.a_follower());  // Two of four would be no quorum; two of three are.
  group.fill(5);
}

BOOST_DATA_TEST_CASE(a_member_is_replaced, all_modules()) {
  if (!changes.check(sample)) return;
  ContractGroup group(3, with_a_spare(sample));
  group.fill(10);
  const NodeId gone = group.a_follower();
  std::vector<int> rest{4};
  for (int id = 3; id >= 1; --id) {
    if (NodeId{id} != gone) rest.insert(rest.begin(), id);
  }
  const Config target = group.config_of(rest);
  group.must_reconfigure(target);
  BOOST_TEST(have(group, rest, target));
  group.crash(gone);
  std::vector<NodeId> nodes;
  for (const int id : rest) nodes.emplace_back(id);
  group.must_agree(nodes);
}

BOOST_DATA_TEST_CASE(a_leader_that_is_removed_hands_over_and_is_a_leader_no_longer, all_modules()) {
  if (!changes.check(sample)) return;
  ContractGroup group(4, group_of(sample, 4));
  group.fill(3);
  const auto old = group.must_elect();
  const NodeId gone = old->id();
  const Epoch epoch = *old->machine.active;
  std::vector<int> rest;
  std::vector<NodeId> nodes;
  for (const NodeId id : group.ids()) {
    if (id == gone) continue;
    rest.push_back(id.value());
    nodes.push_back(id);
  }
  const Config target = group.config_of(rest);
  group.must_reconfigure(target);
  BOOST_TEST(group.eventually([&] { return group.leader() && group.leader() != old; }));
  BOOST_TEST(!old->machine.active.has_value());
  BOOST_TEST((*group.leader()->machine.active > epoch));
  BOOST_TEST(have(group, rest, target));
  group.must_agree(nodes);
  group.world.run_for(seconds(10));
  BOOST_TEST(!old->machine.active.has_value());
}

BOOST_DATA_TEST_CASE(a_change_that_is_no_configuration_is_refused, all_modules()) {
  if (!changes.check(sample)) return;
  ContractGroup group(5, group_of(sample));
  const auto leader = group.must_elect();
  const auto asked = run(group.world, leader->id(), leader->driver->reconfigure({}));
  BOOST_REQUIRE(!asked.has_value());
  BOOST_TEST((asked.error().code == Errc::invalid));
  const NodeId other = group.a_follower();
  const auto elsewhere =
      run(group.world, other, group.node(other)->driver->reconfigure(group.config_of({1, 2})));
  BOOST_REQUIRE(!elsewhere.has_value());
  BOOST_TEST((elsewhere.error().code == Errc::not_leader));
}

BOOST_DATA_TEST_CASE(a_wiped_disk_is_another_member_until_it_is_let_in, all_modules()) {
  if (!disks.check(sample)) return;
  GroupOptions options = group_of(sample);
  options.name_disks = true;
  ContractGroup group(6, options);
  group.fill(10);
  const NodeId wiped = group.a_follower();
  group.crash(wiped);
  group.wipe(wiped);
  group.boot(wiped);
  group.world.run_for(seconds(2));
  // With one more gone there is no quorum: what the wiped one says counts for nothing.
  const NodeId other{6 - wiped.value() - group.leader_id().value()};
  group.crash(other);
  BOOST_TEST(!group.commits());
  group.boot(other);
  // Two of one id cannot be told apart in a quorum: the old one goes before the new one comes.
  std::vector<int> rest;
  for (const NodeId id : group.ids()) {
    if (id != wiped) rest.push_back(id.value());
  }
  group.must_reconfigure(group.config_of(rest));
  group.must_reconfigure(group.config_of({1, 2, 3}));
  group.must_agree();
  group.crash(other);
  group.fill(3);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::consensus::contract
