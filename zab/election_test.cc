// Fast leader election while a change is under way, when nodes go by different configurations: one
// node, and what it hears.
#include <boost/test/unit_test.hpp>

#include "consensus/entry_log.h"
#include "zab/zab.h"

namespace qlab::zab {
namespace {

using consensus::Config;
using consensus::Effect;
using consensus::Input;
using consensus::LogId;
using consensus::Message;

Config config_of(std::initializer_list<int> voters, std::initializer_list<int> outgoing = {}) {
  Config config;
  for (const int id : voters) config.members.push_back({NodeId{id}});
  for (const int id : outgoing) config.outgoing.push_back({NodeId{id}});
  return config;
}

LogId id(std::int64_t epoch, std::int64_t index) {
  return {Epoch{epoch}, LogIndex{index}};
}

// Looks for a leader in round 1, linked with nodes 1 to 5; its log is empty.
class Looking {
 public:
  Looking(int self, Config config)
      : node_({{NodeId{self}, {}}, {}, {{}, config, {}, config}, log_, Prng(1), {}}, {}) {
    for (int peer = 1; peer <= 5; ++peer) {
      if (peer != self) step(in::LinkUp{NodeId{peer}, 1});
    }
  }

  void hear(int from, Payload payload, std::int64_t epoch = 0) {
    step(in::Receive{NodeId{from}, 1,
                     std::make_shared<const Message>(encode(Epoch{epoch}, std::move(payload)))});
  }
  void decide() {
    now_ = node_.next_deadline();
    step(in::Timer{});
  }
  void step(const Input& input) {
    effects_.clear();
    node_.step(now_, input, effects_);
    node_.check_invariants();
  }
  // The last notification of the last step, in words; empty: none was sent.
  std::string said() const {
    std::string words;
    for (const Effect& effect : effects_) {
      if (const auto* send = std::get_if<out::Send>(&effect)) words = describe(*send->message);
    }
    return words;
  }
  std::string traced() const {
    std::string words;
    for (const Effect& effect : effects_) {
      const auto* trace = std::get_if<out::Trace>(&effect);
      if (trace == nullptr) continue;
      words += fmt::format("{}{} {}{}", words.empty() ? "" : "; ", trace->action, trace->peer,
                           trace->reason.empty() ? "" : fmt::format(" {}", trace->reason));
    }
    return words;
  }
  std::string_view role() const { return node_.status().role; }

 private:
  consensus::EntryLog log_;
  Zab node_;
  Time now_;
  std::vector<Effect> effects_;
};

BOOST_AUTO_TEST_SUITE(zab_elections)

// Its peers would refuse such a vote, and in an earlier round wait for it in vain.
BOOST_AUTO_TEST_CASE(a_vote_for_a_node_that_counts_in_no_configuration_any_more_is_withdrawn) {
  Looking node(1, config_of({1, 2, 3}));
  node.hear(2, Notification{.round = 1,
                            .vote = {NodeId{4}, id(1, 5), Epoch{1}, true},
                            .config_at = id(1, 4),
                            .config = config_of({1, 2}, {1, 2, 4})});
  BOOST_TEST(node.said() ==
             "notification round=1 vote=4 last=1/5 peer_epoch=1 state=looking left_out");
  // Another leader had 2 cut the change off.
  node.hear(2, Notification{.round = 1, .vote = {NodeId{2}, id(1, 3), Epoch{2}}});
  BOOST_TEST(node.traced() == "FLEVote 1 own");
  BOOST_TEST(node.said() == "notification round=2 vote=1 last=0/0 peer_epoch=0 state=looking");
}

BOOST_AUTO_TEST_CASE(what_a_peer_that_is_gone_went_by_counts_no_longer) {
  Looking node(1, config_of({1, 2, 3}));
  node.hear(2, Notification{.round = 1,
                            .vote = {NodeId{4}, id(1, 5), Epoch{1}, true},
                            .config_at = id(1, 4),
                            .config = config_of({1, 2}, {1, 2, 4})});
  BOOST_TEST(node.traced() == "FLEVote 4 better_than_ours");
  node.step(in::LinkDown{NodeId{2}, 1});
  BOOST_TEST(node.traced() == "FLEVote 1 own");
}

// It would only wait for a leader that lacks votes of its own.
BOOST_AUTO_TEST_CASE(votes_are_weighed_by_the_configuration_of_the_candidate) {
  Looking node(1, config_of({1, 2, 3}));
  const Vote vote{NodeId{3}, id(1, 1), Epoch{1}};
  node.hear(3, Notification{.round = 1,
                            .vote = vote,
                            .config_at = id(1, 1),
                            .config = config_of({3, 4, 5}, {1, 2, 3})});
  node.hear(2, Notification{.round = 1, .vote = vote});
  node.decide();  // By our own, 2 and 3 would do.
  BOOST_TEST(node.role() == "looking");
  node.hear(4, Notification{.round = 1, .vote = vote});
  node.decide();
  BOOST_TEST(node.traced() == "FLEDecide 3");
}

BOOST_AUTO_TEST_CASE(who_observes_in_its_own_configuration_may_count_in_that_of_its_leader) {
  Looking node(2, config_of({1, 2, 3}));
  const Vote vote{NodeId{3}, id(1, 1), Epoch{1}};
  node.hear(1, Notification{.round = 7, .vote = vote, .state = PeerState::following});
  node.hear(4, Notification{.round = 7, .vote = vote, .state = PeerState::observing});
  node.hear(3, Notification{.round = 7,
                            .vote = vote,
                            .state = PeerState::leading,
                            .config_at = id(1, 1),
                            .config = config_of({3, 4, 5}, {1, 2, 3})});
  BOOST_TEST(node.traced() == "FLEDecide 3");
}

// Nobody can have committed by its word, and it is never elected: a leader that gave up when it has
// more would give up for ever.
BOOST_AUTO_TEST_CASE(a_leader_stays_when_one_without_weight_has_more_than_it_has) {
  Config config = config_of({1, 2, 3, 4});
  config.members[3].weight = 0;
  Looking node(3, config);
  node.hear(1, Notification{.round = 1, .vote = {NodeId{3}, {}, {}}});
  node.decide();
  BOOST_REQUIRE(node.role() == "leading");
  node.hear(1, FollowerInfo{1, Epoch{0}});
  node.hear(4, FollowerInfo{1, Epoch{0}});
  node.step(in::WriteDone{consensus::WriteSeq{1}});
  node.hear(4, AckEpoch{1, false, Epoch{1}, id(1, 1)}, 1);
  BOOST_TEST(node.traced() == "LeaderProcessACKEPOCH 4");
  BOOST_TEST(node.role() == "leading");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::zab
