#include "replication/groups/group_host.h"

#include <boost/test/unit_test.hpp>

#include "runtime/simulated/run.h"
#include "sim/modules.h"

namespace qlab::replication {
namespace {

constexpr NodeId node{1};
const GroupId orders{TopicId{1, 2}, PartitionIndex{0}};

// Of a group of one: applies at once, and keeps nothing.
struct Owner final : GroupOwner {
  std::shared_ptr<Group> group;
  std::optional<Epoch> leads;

  void on_committed() override {
    if (group->has_more()) group->set_applied(group->commit());
  }
  void on_lead(std::optional<Epoch> epoch) override { leads = epoch; }
  void on_leader_known() override {}
  Task<Result<void>> catch_up(Offset) override { co_return Result<void>{}; }
  Task<Result<Settled>> settle() override {
    const Settled settled{group->applied(), Offset{0}};
    co_return settled;
  }
  void on_records(NodeId, bool, Bytes) override {}
};

BOOST_AUTO_TEST_SUITE(group_host)

// The entries fill the log, so that the stop comes in each step of its compaction.
BOOST_AUTO_TEST_CASE(a_stop_ends_a_compaction_wherever_it_is) {
  int compacted = 0;
  int lives = 0;
  for (int us = 0; us < 3000; us += 10) {
    runtime::SimulatedWorld world(1);
    const auto engine = storage::make_engine("buffered", world.node(node)).value();
    GroupHost::Options options{node, sim::find_module("raft").value(), {}, "groups", {600}};
    const GroupHost::Ways ways{[](NodeId, Bytes) {}, [](NodeId) {},
                               [](const Error& error) { CHECK_MSG(false, error.message()); }};
    GroupHost host(world.node(node), *engine, std::move(options), ways);
    BOOST_REQUIRE(runtime::run(world, node, host.open()).has_value());
    GroupState state;
    state.base.config.members = {{node}};
    host.bear(orders, state);
    Owner owner;
    owner.group = host.add(orders, state, owner);
    owner.group->start();
    BOOST_REQUIRE(world.run_until([&] { return owner.leads.has_value(); }, std::chrono::seconds(60))
                      .has_value());
    for (int i = 0; i < 10; ++i) {
      owner.group->propose(std::make_shared<const Bytes>(100), *owner.leads);
    }
    world.run_for(std::chrono::microseconds(us));
    host.remove(orders, false);
    runtime::run(world, node, host.stop());
    compacted += host.stats().compactions > 0 ? 1 : 0;
    ++lives;
  }
  BOOST_TEST(compacted > 0);
  BOOST_TEST(compacted < lives);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::replication
