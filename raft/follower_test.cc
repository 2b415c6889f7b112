// What no script reaches, because no leader of ours sends it: single messages, by hand.
#include <boost/test/unit_test.hpp>

#include "consensus/entry_log.h"
#include "raft/raft.h"

namespace qlab::raft {
namespace {

using consensus::Effect;
using consensus::Entry;
using consensus::EntryKind;
using consensus::LogId;
using consensus::MemberRole;

Entry entry(std::int64_t epoch, std::int64_t index) {
  return {{Epoch{epoch}, LogIndex{index}}, EntryKind::data, std::make_shared<const Bytes>(3)};
}

// Node 2 of three, in epoch 2, with entries 1/1 1/2 1/3.
struct Follower {
  Follower() {
    for (std::int64_t i = 1; i <= 3; ++i) log.append(entry(1, i));
    consensus::Config config;
    for (int i = 1; i <= 3; ++i) config.members.push_back({NodeId{i}, MemberRole::voter});
    consensus::HardState state;
    state.epoch = state.synced_epoch = Epoch{2};
    raft = make_raft({{NodeId{2}, {}}, {}, {state, config, LogIndex{0}}, log, Prng(1), Time{}});
    for (const int peer : {1, 3, 9}) step(in::LinkUp{NodeId{peer}, 1});
  }
  std::vector<Effect> step(const consensus::Input& input) {
    std::vector<Effect> effects;
    raft->step(now, input, effects);
    raft->check_invariants();
    return effects;
  }
  // Carries out what concerns the log.
  std::vector<Effect> take(std::vector<Effect> effects) {
    for (const Effect& effect : effects) {
      if (const auto* cut = std::get_if<out::Truncate>(&effect)) log.truncate(cut->from);
      if (const auto* more = std::get_if<out::Append>(&effect)) {
        for (const Entry& one : more->entries) log.append(one);
      }
    }
    return effects;
  }
  std::vector<Effect> receive(int from, Epoch epoch, const Payload& payload) {
    auto message = std::make_shared<const consensus::Message>(encode(epoch, payload));
    return step(in::Receive{NodeId{from}, 1, message});
  }

  Time now{};
  consensus::EntryLog log;
  std::unique_ptr<consensus::Module> raft;
};

template <class T>
const T* find(const std::vector<Effect>& effects) {
  for (const Effect& effect : effects) {
    if (const T* found = std::get_if<T>(&effect)) return found;
  }
  return nullptr;
}

BOOST_AUTO_TEST_SUITE(raft_follower)

BOOST_AUTO_TEST_CASE(a_follower_commits_nothing_beyond_what_matched) {
  Follower follower;
  const LogId previous{Epoch{1}, LogIndex{1}};
  const auto effects = follower.receive(1, Epoch{2}, AppendRequest{previous, LogIndex{3}, {}});
  const auto* commit = find<out::Commit>(effects);
  BOOST_REQUIRE(commit != nullptr);
  BOOST_TEST(commit->up_to.value() == 1);  // 1/2 and 1/3 may be another leader's.
}

BOOST_AUTO_TEST_CASE(an_append_that_comes_twice_is_acknowledged_twice_and_written_once) {
  Follower follower;
  const AppendRequest request{{Epoch{1}, LogIndex{1}}, LogIndex{0}, {entry(1, 2), entry(1, 3)}};
  for (int round = 0; round < 2; ++round) {
    const auto effects = follower.receive(1, Epoch{2}, request);
    BOOST_TEST((find<out::Append>(effects) == nullptr));
    BOOST_TEST((find<out::Truncate>(effects) == nullptr));
    const auto* send = find<out::Send>(effects);
    BOOST_REQUIRE(send != nullptr);
    BOOST_TEST(describe(*send->message) == "append_reply epoch=2 match=3");
  }
}

BOOST_AUTO_TEST_CASE(an_old_append_does_not_cut_what_came_after_it) {
  Follower follower;
  follower.receive(1, Epoch{2}, AppendRequest{{}, LogIndex{0}, {entry(1, 1)}});
  BOOST_TEST(follower.log.last().index.value() == 3);
  BOOST_TEST(follower.raft->status().last.index.value() == 3);
}

BOOST_AUTO_TEST_CASE(what_the_own_image_covers_is_no_conflict) {
  Follower follower;
  follower.step(in::SnapshotTaken{});
  follower.receive(1, Epoch{2}, Heartbeat{LogIndex{3}, 0});
  follower.log.set_snapshot({{Epoch{1}, LogIndex{3}}, {{{NodeId{1}}}, {}, 0, 0}, 0});
  follower.log.trim(LogIndex{4});
  const AppendRequest old{{Epoch{1}, LogIndex{1}}, LogIndex{3}, {entry(1, 2), entry(1, 3)}};
  const auto effects = follower.receive(1, Epoch{2}, old);
  BOOST_TEST((find<out::Truncate>(effects) == nullptr));
  BOOST_TEST(describe(*find<out::Send>(effects)->message) == "append_reply epoch=2 match=3");
}

BOOST_AUTO_TEST_CASE(a_vote_that_is_granted_puts_the_own_candidacy_off) {
  Follower follower;
  const Time before = follower.raft->next_deadline();
  follower.now = before - std::chrono::milliseconds(1);
  follower.receive(3, Epoch{3}, VoteRequest{false, false, {}, {Epoch{1}, LogIndex{3}}});
  BOOST_TEST((follower.raft->next_deadline() > before));
}

// The write of what was cut meanwhile is done: only what is left of it counts.
BOOST_AUTO_TEST_CASE(an_append_that_was_cut_before_it_was_durable_is_not_acknowledged) {
  Follower follower;
  const LogId third{Epoch{1}, LogIndex{3}};
  const auto first =
      follower.take(follower.receive(1, Epoch{2}, AppendRequest{third, {}, {entry(2, 4)}}));
  const auto second =
      follower.take(follower.receive(3, Epoch{3}, AppendRequest{third, {}, {entry(3, 4)}}));
  const auto* send = find<out::Send>(second);
  BOOST_REQUIRE(send != nullptr);
  // The acknowledgement waits for the cut and for the new entry, not for the old one.
  BOOST_TEST((send->after == find<out::Append>(second)->seq));
  BOOST_TEST((send->after > find<out::Append>(first)->seq));
  BOOST_TEST((find<out::Truncate>(second)->seq > find<out::Append>(first)->seq));
}

BOOST_AUTO_TEST_CASE(whoever_asks_is_served_without_a_look_at_the_configuration) {
  Follower follower;  // Its configuration may be older than that of node 9 (dissertation 4.1).
  const auto vote =
      follower.receive(9, Epoch{3}, VoteRequest{false, false, {}, {Epoch{9}, LogIndex{9}}});
  BOOST_TEST(describe(*find<out::Send>(vote)->message) == "vote_reply epoch=3 real granted=yes");
  follower.receive(9, Epoch{3}, AppendRequest{{Epoch{1}, LogIndex{3}}, LogIndex{3}, {}});
  BOOST_TEST((follower.raft->status().leader == NodeId{9}));
}

BOOST_AUTO_TEST_CASE(a_malformed_message_changes_nothing) {
  Follower follower;
  const std::uint64_t before = follower.raft->digest();
  consensus::Message message = encode(Epoch{7}, Heartbeat{});
  message.head.pop_back();
  const auto effects =
      follower.step(in::Receive{NodeId{1}, 1, std::make_shared<const consensus::Message>(message)});
  BOOST_TEST(effects.size() == 1u);
  BOOST_REQUIRE((find<out::Trace>(effects) != nullptr));
  BOOST_TEST(find<out::Trace>(effects)->action == "DropMalformed");
  BOOST_TEST(follower.raft->digest() == before);
}

BOOST_AUTO_TEST_CASE(a_vote_in_an_epoch_that_has_a_leader_is_not_given_away) {
  Follower follower;
  follower.receive(1, Epoch{2}, Heartbeat{});
  const auto effects =
      follower.receive(3, Epoch{2}, VoteRequest{false, false, {}, {Epoch{1}, LogIndex{3}}});
  BOOST_TEST(describe(*find<out::Send>(effects)->message) == "vote_reply epoch=2 real granted=no");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::raft
