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
    log.append(WriteSeq(2), {entry(1, 1), entry(1, 2)});
    log.durable_up_to(WriteSeq(2));
    log.append(WriteSeq(3), {entry(1, 3), entry(1, 4)});
    log.save(WriteSeq(4), in_epoch(2));
    log.truncate(WriteSeq(5), LogIndex(3));
    log.append(WriteSeq(6), {entry(2, 3)});
  }
  bool may_leave(const Found& found, int epoch) {
    ReplicaLog copy = log;
    return copy.recover(found.log, in_epoch(epoch));
  }
  ReplicaLog log;
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
  BOOST_TEST(!may_leave(Found(3), 2));
  BOOST_TEST(!may_leave(Found(2, {entry(2, 3)}), 1));
  BOOST_TEST(!may_leave(Found(5), 1));
}

BOOST_AUTO_TEST_CASE(what_was_found_is_durable_from_then_on) {
  BOOST_TEST(log.recover(Found(3).log, in_epoch(1)));
  BOOST_TEST(!may_leave(Found(2), 1));
  BOOST_TEST(may_leave(Found(3), 1));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::sim
