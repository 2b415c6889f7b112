#include "consensus/model/replica.h"

#include <boost/test/unit_test.hpp>

#include "common/prng.h"
#include "consensus/entry_log.h"
#include "consensus/quorum.h"

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

std::vector<Member> any_members(Prng& random, std::uint32_t groups) {
  std::vector<Member> members;
  for (std::int32_t id = 1; id <= 6; ++id) {
    if (random.chance(0.3)) continue;
    Member member{NodeId{id}, static_cast<MemberRole>(random.below(3))};
    if (groups > 1) member.weight = static_cast<std::uint32_t>(random.below(3));
    member.group = static_cast<std::uint32_t>(random.below(groups));
    members.push_back(member);
  }
  return members;
}

BOOST_AUTO_TEST_SUITE(consensus_model_replica)

// Both were written from the same rules, and share nothing.
BOOST_AUTO_TEST_CASE(quorums_of_models_are_those_of_modules) {
  Prng random(1);
  int quorums = 0;
  for (int i = 0; i < 5000; ++i) {
    const auto groups = static_cast<std::uint32_t>(1 + random.below(3));
    Config config;
    config.members = any_members(random, groups);
    if (random.chance(0.5)) config.outgoing = any_members(random, groups);
    if (groups == 1) config.commit_quorum = static_cast<std::uint32_t>(random.below(4));
    const std::uint64_t says_yes = random.next();
    const auto agrees = [says_yes](NodeId id) { return ((says_yes >> id.value()) & 1) == 1; };
    const bool expected = is_quorum(config, QuorumUse::commit, agrees);
    quorums += expected ? 1 : 0;
    BOOST_TEST(agree(config, config.commit_quorum, agrees) == expected, "configuration " << i);
  }
  BOOST_TEST(quorums > 500);
}

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
