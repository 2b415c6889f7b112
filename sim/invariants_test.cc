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
    history.voters = {one, two, three};
    for (const NodeId id : history.voters) history.logs[id];
    for (const NodeId id : {one, two}) {
      first = history.logs[id].append(WriteSeq(1), {entry(1, 1, 7)}).front();
      history.logs[id].durable_up_to(WriteSeq(1));
      history.fresh.appended.push_back({id, first});
    }
    history.fresh.led.push_back({one, Epoch(1)});
    history.fresh.applied.push_back({one, Epoch(1), first, 7});
    answer(7, Fate::committed);
    const Finding finding = judge(history);
    BOOST_REQUIRE_MESSAGE(!finding, finding.value_or(""));
  }
  void answer(std::uint64_t value, Fate fate) {
    history.fresh.answered.push_back({value, 1, {fate, first.id, {}}});
  }
  std::string found() { return judge(history).value_or("nothing"); }

  History history;
  ChainedEntry first;
};

BOOST_FIXTURE_TEST_SUITE(invariants, ThreeVoters)

BOOST_AUTO_TEST_CASE(a_correct_history_has_no_finding) {
  history.fresh.led.push_back({two, Epoch(2)});
  history.fresh.applied.push_back({two, Epoch(2), first, 7});
  history.fresh.committed.push_back({two, LogIndex(0), LogIndex(1)});
  history.fresh.reads.push_back({two, LogIndex(1), LogIndex(1)});
  history.fresh.recovered.push_back({three, true});
  answer(9, Fate::rejected);
  BOOST_TEST(found() == "nothing");
  BOOST_TEST(history.fresh.empty());
}

BOOST_AUTO_TEST_CASE(two_leaders_of_an_epoch_are_found_whenever_they_led) {
  history.fresh.led.push_back({two, Epoch(1)});
  BOOST_TEST(found() == "one_leader_per_epoch: nodes 1 and 2 lead epoch 1");
}

BOOST_AUTO_TEST_CASE(logs_that_differ_below_an_equal_entry_are_found) {
  history.fresh.appended.push_back({three, {first.id, first.chain + 1}});
  BOOST_TEST(found().starts_with("logs_match: node 3"));
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
  history.fresh.applied.push_back({two, Epoch(1), {first.id, first.chain + 1}, 7});
  BOOST_TEST(found().starts_with("state_machines_agree: node 2"));
}

BOOST_AUTO_TEST_CASE(a_commit_index_that_goes_back_is_found) {
  history.fresh.committed.push_back({one, LogIndex(2), LogIndex(1)});
  BOOST_TEST(found() == "commit_only_grows: node 1 committed up to 2 and then up to 1");
}

BOOST_AUTO_TEST_CASE(an_entry_applied_before_a_majority_keeps_it_is_found) {
  const auto second = history.logs[one].append(WriteSeq(2), {entry(1, 2, 8)}).front();
  history.logs[two].append(WriteSeq(2), {entry(1, 2, 8)});
  history.logs[one].durable_up_to(WriteSeq(2));
  history.fresh.applied.push_back({one, Epoch(1), second, 8});
  BOOST_TEST(found().find("durable on 1 of 3 voters") != std::string::npos);
  history.logs[two].durable_up_to(WriteSeq(2));
  BOOST_TEST(found() == "nothing");
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
  for (const NodeId id : {one, two}) {
    first = history.logs[id].append(WriteSeq(2), {entry(1, 2, 8)}).front();
    history.logs[id].durable_up_to(WriteSeq(2));
  }
  history.fresh.applied.push_back({one, Epoch(1), first, 8});
  BOOST_TEST(found() ==
             "refused_proposals_never_happen: node 1 applied value 8, which had been refused");
}

BOOST_AUTO_TEST_CASE(a_read_that_misses_an_acknowledged_value_is_found) {
  history.fresh.reads.push_back({two, LogIndex(1), LogIndex(0)});
  BOOST_TEST(found().starts_with("reads_see_what_was_acknowledged: node 2 served a read at 0"));
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
