#include "sim/replica_log.h"

#include <boost/test/unit_test.hpp>

#include "consensus/entry_log.h"

namespace qlab::sim {
namespace {

using consensus::Entry;
using consensus::EntryKind;
using consensus::EntryLog;
using consensus::HardState;
using consensus::LogId;
using consensus::WriteSeq;

Entry entry(int epoch, int index) {
  return {LogId{Epoch(epoch), LogIndex(index)}, EntryKind::data, std::make_shared<const Bytes>()};
}

HardState in_epoch(int epoch) {
  HardState state;
  state.epoch = Epoch(epoch);
  return state;
}

// What a crash has left: entries 1.1 to 1.`count`, then `more`, and the hard state's epoch.
struct Found {
  explicit Found(int count, std::vector<Entry> more = {}) {
    for (int i = 1; i <= count; ++i) log.append(entry(1, i));
    for (Entry& e : more) log.append(std::move(e));
  }
  EntryLog log;
};

// Durable: entries 1.1 and 1.2 in epoch 1. Pending, in order: 1.3 and 1.4, epoch 2, a truncation
// from 3, 2.3.
struct Replica {
  Replica() {
    log.save(WriteSeq(1), in_epoch(1));
    committed.push_back({log.append(WriteSeq(2), {entry(1, 1), entry(1, 2)}).front(), {}, {}});
    log.durable_up_to(WriteSeq(2));
    log.append(WriteSeq(3), {entry(1, 3), entry(1, 4)});
    log.save(WriteSeq(4), in_epoch(2));
    log.truncate(WriteSeq(5), LogIndex(3));
    log.append(WriteSeq(6), {entry(2, 3)});
  }
  bool may_leave(const Found& found, int epoch) {
    ReplicaLog copy = log;
    return copy.recover(found.log, in_epoch(epoch), committed);
  }
  ReplicaLog log;
  std::vector<CommittedEntry> committed;  // 1.1, and what a test adds.
};

BOOST_FIXTURE_TEST_SUITE(replica_log, Replica)

BOOST_AUTO_TEST_CASE(a_crash_may_leave_any_prefix_of_the_writes) {
  BOOST_TEST(may_leave(Found(2), 1));
  BOOST_TEST(may_leave(Found(3), 1));
  BOOST_TEST(may_leave(Found(4), 1));
  BOOST_TEST(may_leave(Found(4), 2));
  BOOST_TEST(may_leave(Found(2), 2));
  BOOST_TEST(may_leave(Found(2, {entry(2, 3)}), 2));
}

BOOST_AUTO_TEST_CASE(a_crash_may_not_lose_what_is_durable_nor_keep_a_write_without_the_one_before) {
  BOOST_TEST(!may_leave(Found(1), 1));
  BOOST_TEST(!may_leave(Found(2), 0));
  BOOST_TEST(!may_leave(Found(1), 2));
  BOOST_TEST(!may_leave(Found(2, {entry(2, 3)}), 1));
  BOOST_TEST(!may_leave(Found(5), 1));
}

BOOST_AUTO_TEST_CASE(of_a_truncation_a_crash_may_have_dropped_only_the_last_entries) {
  BOOST_TEST(may_leave(Found(3), 2));  // Of 1.3 and 1.4 only the latter.
  log.durable_up_to(WriteSeq(5));
  BOOST_TEST(!may_leave(Found(3), 2));
}

BOOST_AUTO_TEST_CASE(what_was_found_is_durable_from_then_on) {
  BOOST_TEST(log.recover(Found(3).log, in_epoch(1), committed));
  BOOST_TEST(!may_leave(Found(2), 1));
  BOOST_TEST(may_leave(Found(3), 1));
}

// Entries 1.1, 1.2, 2.3 to 2.5, committed by others.
void commit_other_history(Replica& replica) {
  std::uint64_t chain = replica.committed.front().entry.chain;
  for (const Entry& e : {entry(1, 2), entry(2, 3), entry(2, 4), entry(2, 5)}) {
    replica.committed.push_back({chain_after(chain, e), {}, {}});
    chain = replica.committed.back().entry.chain;
  }
}

// What a crash has left of a log that an image covers up to 2.5: what is behind it.
Found covered(int epoch, int index, std::vector<Entry> more = {}) {
  Found found(0);
  found.log.install({LogId{Epoch(epoch), LogIndex(index)}, {}, 10});
  for (Entry& e : more) found.log.append(std::move(e));
  return found;
}

BOOST_AUTO_TEST_CASE(an_image_that_was_installed_is_there_whole_or_not_at_all) {
  commit_other_history(*this);
  log.store(WriteSeq(7));
  log.install(WriteSeq(8), committed.back().entry.id, committed);
  BOOST_TEST(log.sees(committed.back().entry));
  BOOST_TEST(!log.keeps(committed.back().entry));
  BOOST_TEST(may_leave(Found(2, {entry(2, 3)}), 2));
  BOOST_TEST(may_leave(covered(2, 5), 2));
  BOOST_TEST(!may_leave(covered(2, 5), 1));
  BOOST_TEST(!may_leave(covered(2, 5, {entry(2, 6)}), 2));
  log.durable_up_to(WriteSeq(8));
  BOOST_TEST(log.keeps(committed.back().entry));
  BOOST_TEST(!may_leave(Found(2, {entry(2, 3)}), 2));
}

BOOST_AUTO_TEST_CASE(an_image_made_here_may_be_durable_before_the_end_of_the_log_is) {
  commit_other_history(*this);
  committed.resize(2);
  BOOST_TEST(may_leave(covered(1, 2), 1));
  BOOST_TEST(may_leave(covered(1, 2, {entry(1, 3)}), 1));
  BOOST_TEST(!may_leave(covered(1, 3), 1));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::sim
