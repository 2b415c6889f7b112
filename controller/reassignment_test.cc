#include "controller/reassignment.h"

#include <boost/test/unit_test.hpp>

namespace qlab::controller {
namespace {

using wire::KafkaError;
using Nodes = std::vector<NodeId>;

const NodeId one{1}, two{2}, three{3}, four{4};
const Eligible everyone = [](NodeId) { return true; };
const ElectionRules rules{everyone, 1, false};

Partition settled() {
  Partition partition;
  partition.replicas = partition.isr = {one, two};
  partition.leader = one;
  return partition;
}

BOOST_AUTO_TEST_SUITE(reassignment)

BOOST_AUTO_TEST_CASE(a_partition_has_moved_once_all_that_were_added_are_in_sync) {
  const Reassigned begun = reassigned(settled(), {three, four}, everyone, rules);
  BOOST_REQUIRE(begun.has_value());
  BOOST_TEST((begun->replicas == Nodes{three, four, one, two}));
  BOOST_TEST((begun->adding == Nodes{three, four}));
  BOOST_TEST((begun->removing == Nodes{one, two}));
  BOOST_TEST((begun->leader == one));

  const Partition half = with_isr(*begun, {one, two, three}, rules);
  BOOST_TEST(half.is_reassigning());
  const Partition moved = with_isr(half, {one, two, three, four}, rules);
  BOOST_TEST(!moved.is_reassigning());
  BOOST_TEST((moved.replicas == Nodes{three, four}));
  BOOST_TEST((moved.isr == Nodes{three, four}));
  BOOST_TEST((moved.leader == three));
}

BOOST_AUTO_TEST_CASE(a_target_that_adds_nobody_is_reached_at_once) {
  const Reassigned swapped = reassigned(settled(), {two, one}, everyone, rules);
  BOOST_REQUIRE(swapped.has_value());
  BOOST_TEST((swapped->replicas == Nodes{two, one}));
  BOOST_TEST(!swapped->is_reassigning());
  const Reassigned fewer = reassigned(settled(), {two}, everyone, rules);
  BOOST_REQUIRE(fewer.has_value());
  BOOST_TEST((fewer->isr == Nodes{two}));
  BOOST_TEST((fewer->leader == two));
}

BOOST_AUTO_TEST_CASE(a_move_that_is_stopped_leaves_the_replicas_of_before) {
  const Partition begun = *reassigned(settled(), {three, two}, everyone, rules);
  const Reassigned stopped = cancelled(with_isr(begun, {one, two}, rules), rules);
  BOOST_REQUIRE(stopped.has_value());
  BOOST_TEST((stopped->isr == Nodes{one, two}));
  BOOST_TEST(stopped->replicas.size() == 2u);
  BOOST_TEST(!stopped->is_reassigning());
  BOOST_TEST(
      (cancelled(settled(), rules).error().error == KafkaError::no_reassignment_in_progress));
  // Only the new one is in sync.
  Partition alone = begun;
  alone.isr = {three};
  alone.leader = three;
  BOOST_TEST((cancelled(alone, rules).error().error == KafkaError::invalid_replica_assignment));
}

BOOST_AUTO_TEST_CASE(a_move_may_be_redirected_on_its_way) {
  const Partition begun = *reassigned(settled(), {three, two}, everyone, rules);
  const Reassigned other = reassigned(begun, {four, two}, everyone, rules);
  BOOST_REQUIRE(other.has_value());
  BOOST_TEST((other->adding == Nodes{four}));
  BOOST_TEST((other->removing == Nodes{one}));
  BOOST_TEST((other->replicas == Nodes{four, two, one}));
}

BOOST_AUTO_TEST_CASE(a_target_that_is_none_is_refused) {
  const Eligible known = [](NodeId node) { return node != four; };
  for (const Nodes& target : {Nodes{}, Nodes{three, three}, Nodes{four}}) {
    const Reassigned refused = reassigned(settled(), target, known, rules);
    BOOST_REQUIRE(!refused.has_value());
    BOOST_TEST((refused.error().error == KafkaError::invalid_replica_assignment));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::controller
