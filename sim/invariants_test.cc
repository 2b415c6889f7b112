#include "sim/invariants.h"

#include <boost/test/unit_test.hpp>

#include "common/bytes.h"

namespace qlab::sim {
namespace {

using consensus::Entry;
using consensus::EntryKind;
using consensus::Fate;
using consensus::LogId;
using consensus::WriteSeq;

constexpr NodeId one{1};
constexpr NodeId two{2};
constexpr NodeId three{3};

Entry entry(int epoch, int index, std::uint64_t value) {
  BytesWriter body;
  body.put(value);
  return {LogId{Epoch(epoch), LogIndex(index)}, EntryKind::data,
          std::make_shared<const Bytes>(body.take())};
}

// Three voters; the first two have the entry 1.1 with value 7 durably.
struct ThreeVoters {
  ThreeVoters() {
    for (const NodeId id : {one, two, three}) {
      config.members.push_back({id});
      history.logs[id];
    }
    for (const NodeId id : {one, two, three}) history.configs[id] = config;
    history.claim(one, LogIndex(1));
    for (const NodeId id : {one, two}) {
      first = history.logs[id].append(WriteSeq(1), {entry(1, 1, 7)}).front();
      history.logs[id].durable_up_to(WriteSeq(1));
      history.fresh.appended.push_back({id, first});
    }
    history.fresh.led.push_back({one, Epoch(1)});
    history.fresh.applied.push_back({one, Epoch(1), first, 7, state_1});
    answer(7, Fate::committed);
    const Finding finding = judge(history);
    BOOST_REQUIRE_MESSAGE(!finding, finding.value_or(""));
  }
  void answer(std::uint64_t value, Fate fate) {
    history.fresh.answered.push_back({value, 1, {fate, first.id, {}}, LogIndex(0)});
  }
  // An entry 1.2 with value 8 is seen by the first two, and durable on `keepers`.
  ChainedEntry append_second(const std::vector<NodeId>& keepers) {
    ChainedEntry second;
    for (const NodeId id : {one, two}) {
      second = history.logs[id].append(WriteSeq(2), {entry(1, 2, 8)}).front();
    }
    for (const NodeId id : keepers) history.logs[id].durable_up_to(WriteSeq(2));
    return second;
  }
  void apply_at_one(const ChainedEntry& entry) {
    history.claim(one, entry.id.index);
    history.fresh.applied.push_back({one, Epoch(1), entry, 8, state_2});
  }
  std::string found() { return judge(history).value_or("nothing"); }

  static constexpr std::uint64_t state_1 = 71;
  static constexpr std::uint64_t state_2 = 72;
  consensus::Config config;
  History history;
  ChainedEntry first;
};

BOOST_FIXTURE_TEST_SUITE(invariants, ThreeVoters)

BOOST_AUTO_TEST_CASE(a_correct_history_has_no_finding) {
  history.fresh.led.push_back({two, Epoch(2)});
  history.fresh.applied.push_back({two, Epoch(2), first, 7, state_1});
  history.fresh.committed.push_back({two, LogIndex(0), LogIndex(1)});
  history.fresh.reads.push_back({two, LogIndex(1), LogIndex(1), state_1});
  history.fresh.restored.push_back({three, first.id, state_1});
  history.fresh.activated.push_back({two, Epoch(2), LogIndex(1), LogIndex(1)});
  history.fresh.recovered.push_back({three, true});
  answer(9, Fate::rejected);
  BOOST_TEST(found() == "nothing");
  BOOST_TEST(history.fresh.empty());
}

BOOST_AUTO_TEST_CASE(two_leaders_of_an_epoch_are_found_whenever_they_led) {
  history.fresh.led.push_back({two, Epoch(1)});
  BOOST_TEST(found() == "one_leader_per_epoch: nodes 1 and 2 lead epoch 1");
}

BOOST_AUTO_TEST_CASE(logs_that_differ_at_or_below_an_equal_entry_are_found) {
  const History before = history;
  history.fresh.appended.push_back({three, {first.id, first.chain + 1, first.body}});
  BOOST_TEST(found().starts_with("logs_match: node 3"));
  history = before;
  history.fresh.appended.push_back({three, {first.id, first.chain, first.body + 1}});
  BOOST_TEST(found().starts_with("logs_match: node 3"));
}

BOOST_AUTO_TEST_CASE(a_witness_has_the_entries_of_others_without_their_bodies) {
  history.fresh.appended.push_back({three, {first.id, first.chain, 0}});
  BOOST_TEST(found() == "nothing");
}

BOOST_AUTO_TEST_CASE(a_leader_without_a_committed_entry_is_found) {
  history.fresh.led.push_back({three, Epoch(2)});
  BOOST_TEST(found().starts_with("leaders_have_all_committed_entries: node 3 leads epoch 2"));
}

BOOST_AUTO_TEST_CASE(a_leader_of_an_older_epoch_need_not_have_what_a_later_one_committed) {
  history.fresh.led.push_back({three, Epoch(0)});
  BOOST_TEST(found() == "nothing");
}

BOOST_AUTO_TEST_CASE(state_machines_that_part_are_found) {
  const History before = history;
  history.fresh.applied.push_back(
      {two, Epoch(1), {first.id, first.chain + 1, first.body}, 7, state_1});
  BOOST_TEST(found().starts_with("state_machines_agree: node 2"));
  history = before;
  history.fresh.applied.push_back({two, Epoch(1), first, 7, state_2});
  BOOST_TEST(found().starts_with("state_machines_agree: node 2"));
}

BOOST_AUTO_TEST_CASE(an_image_of_another_state_is_found) {
  history.fresh.restored.push_back({three, first.id, state_2});
  BOOST_TEST(found().starts_with("images_are_of_the_committed_state: node 3"));
}

BOOST_AUTO_TEST_CASE(a_primary_that_begins_too_early_or_without_leading_is_found) {
  const History before = history;
  history.fresh.activated.push_back({one, Epoch(1), LogIndex(2), LogIndex(1)});
  BOOST_TEST(found().starts_with("primaries_begin_with_the_past_committed: node 1"));
  history = before;
  history.fresh.activated.push_back({two, Epoch(1), LogIndex(1), LogIndex(1)});
  BOOST_TEST(found() ==
             "primaries_begin_with_the_past_committed: node 2 is active in epoch 1, which it does "
             "not lead");
}

BOOST_AUTO_TEST_CASE(a_commit_index_that_goes_back_is_found) {
  history.fresh.committed.push_back({one, LogIndex(2), LogIndex(1)});
  BOOST_TEST(found() == "commit_only_grows: node 1 committed up to 2 and then up to 1");
}

BOOST_AUTO_TEST_CASE(an_entry_applied_before_a_quorum_keeps_it_is_found) {
  const History before = history;
  apply_at_one(append_second({one}));
  BOOST_TEST(found().ends_with("without a quorum: 1 has it, 2 lacks it, 3 lacks it"));
  history = before;
  apply_at_one(append_second({one, two}));
  BOOST_TEST(found() == "nothing");
}

BOOST_AUTO_TEST_CASE(an_entry_that_nobody_committed_is_found_when_it_is_applied) {
  history.fresh.applied.push_back({one, Epoch(1), append_second({one, two}), 8, state_2});
  BOOST_TEST(found().ends_with("which nobody committed"));
}

BOOST_AUTO_TEST_CASE(a_joint_configuration_needs_a_quorum_of_both_halves) {
  history.configs[one].outgoing = {{NodeId{4}}, {NodeId{5}}, {one}};
  apply_at_one(append_second({one, two}));
  BOOST_TEST(found().starts_with("committed_entries_are_durable_on_a_quorum"));
}

BOOST_AUTO_TEST_CASE(the_quorum_is_that_of_the_configuration_in_which_it_was_committed) {
  const History before = history;
  const ChainedEntry second = append_second({one});
  history.configs[one].members = {{one}};
  apply_at_one(second);
  BOOST_TEST(found() == "nothing");
  history = before;
  history.configs[one].members[2].role = consensus::MemberRole::observer;
  history.logs[three].append(WriteSeq(1), {entry(1, 1, 7), entry(1, 2, 8)});
  history.logs[three].durable_up_to(WriteSeq(1));
  apply_at_one(append_second({one}));
  BOOST_TEST(found().ends_with("without a quorum: 1 has it, 2 lacks it"));
}

void name_disks(ThreeVoters& group) {
  for (consensus::Member& member : group.history.configs[one].members) {
    member.directory = Uuid{1, static_cast<std::uint64_t>(member.id.value())};
    group.history.directories[member.id] = member.directory;
  }
}

BOOST_AUTO_TEST_CASE(a_replica_that_was_wiped_is_judged_by_what_it_had_durably) {
  name_disks(*this);
  const History before = history;
  apply_at_one(append_second({one, two}));
  history.wipe(two, Uuid{2, 2});
  BOOST_TEST(found() == "nothing");
  history = before;
  apply_at_one(append_second({one}));
  history.wipe(two, Uuid{2, 2});
  BOOST_TEST(found().ends_with("without a quorum: 1 has it, 2 lacks it, 3 lacks it"));
}

BOOST_AUTO_TEST_CASE(a_replica_on_another_disk_counts_for_nobody) {
  name_disks(*this);
  history.wipe(two, Uuid{2, 2});
  history.logs[two].append(WriteSeq(1), {entry(1, 1, 7)});
  const ChainedEntry second = append_second({one, two});
  BOOST_TEST(history.logs[two].keeps(second));  // And is not asked.
  apply_at_one(second);
  BOOST_TEST(found().ends_with("without a quorum: 1 has it, 2 lacks it, 3 lacks it"));
}

BOOST_AUTO_TEST_CASE(an_acknowledged_value_that_is_not_there_is_found) {
  answer(8, Fate::committed);
  BOOST_TEST(found() ==
             "acknowledged_proposals_stay: value 8 was acknowledged at 1.1, and is not there");
}

BOOST_AUTO_TEST_CASE(a_refused_value_that_is_applied_is_found_in_either_order) {
  History before = history;
  answer(7, Fate::superseded);
  BOOST_TEST(found() == "refused_proposals_never_happen: value 7 was refused, and stands at 1");
  history = before;
  answer(8, Fate::rejected);
  BOOST_TEST(found() == "nothing");
  apply_at_one(append_second({one, two}));
  BOOST_TEST(found() ==
             "refused_proposals_never_happen: node 1 applied value 8, which had been refused");
}

BOOST_AUTO_TEST_CASE(a_read_that_misses_what_a_client_has_seen_is_found) {
  const History before = history;
  history.fresh.reads.push_back({two, LogIndex(1), LogIndex(0), 0});
  BOOST_TEST(found().starts_with("operations_are_linearizable: node 2 served a read at 0"));
  history = before;
  history.fresh.reads.push_back({two, LogIndex(1), LogIndex(1), state_2});
  BOOST_TEST(found().starts_with("operations_are_linearizable: node 2 served a read of a state"));
}

BOOST_AUTO_TEST_CASE(a_read_is_seen_by_those_that_begin_after_it) {
  history.done = LogIndex(0);
  history.fresh.reads.push_back({two, LogIndex(0), LogIndex(1), state_1});
  BOOST_TEST(found() == "nothing");
  BOOST_TEST(history.done == LogIndex(1));
}

BOOST_AUTO_TEST_CASE(an_append_that_stands_before_what_was_seen_when_it_began_is_found) {
  history.fresh.answered.push_back({7, 1, {Fate::committed, first.id, {}}, LogIndex(1)});
  BOOST_TEST(
      found() ==
      "operations_are_linearizable: value 7 stands at 1.1, and 1 had been seen before it was "
      "proposed");
}

BOOST_AUTO_TEST_CASE(a_replica_that_comes_up_wrong_or_not_at_all_is_found) {
  History before = history;
  history.fresh.recovered.push_back({two, false});
  BOOST_TEST(found().starts_with("crashes_leave_a_prefix_of_the_writes: node 2"));
  history = before;
  history.fresh.refused.push_back({three, "corrupt: a hole"});
  BOOST_TEST(found() == "replicas_come_up: node 3: corrupt: a hole");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::sim
