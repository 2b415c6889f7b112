#include "consensus/model/replica.h"

#include <boost/test/unit_test.hpp>

#include "consensus/entry_log.h"

namespace qlab::consensus::model {
namespace {

Log entries_up_to(int last) {
  Log log;
  for (int i = 1; i <= last; ++i) {
    log.push_back({LogId{Epoch(1), LogIndex(i)}, EntryKind::data, std::make_shared<const Bytes>()});
  }
  return log;
}

bool may_leave(Replica replica, int last) {
  EntryLog found;
  for (const Entry& entry : entries_up_to(last)) found.append(entry);
  return replica.recover({.hard_state = {}, .config = {}, .applied = {}}, found, {});
}

BOOST_AUTO_TEST_SUITE(consensus_model_replica)

BOOST_AUTO_TEST_CASE(of_the_last_write_a_crash_may_leave_a_part) {
  Replica replica;
  replica.configs[LogIndex{0}] = {};
  replica.append(WriteSeq(1), entries_up_to(2));
  replica.finish(WriteSeq(1), {});
  replica.truncate(WriteSeq(2), LogIndex(1));
  replica.append(WriteSeq(3), entries_up_to(3));
  for (const int last : {0, 1, 2, 3}) BOOST_TEST(may_leave(replica, last), last);
  replica.finish(WriteSeq(3), {});
  for (const int last : {0, 1, 2}) BOOST_TEST(!may_leave(replica, last), last);
  replica.truncate(WriteSeq(4), LogIndex(2));
  for (const int last : {1, 2, 3}) BOOST_TEST(may_leave(replica, last), last);
  for (const int last : {0, 4}) BOOST_TEST(!may_leave(replica, last), last);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::consensus::model
