// Messages that are damaged, of another session, of another epoch, or out of turn: each is refused
// under its name, and changes nothing.
#include <boost/test/unit_test.hpp>

#include "consensus/config.h"
#include "consensus/step_world.h"
#include "zab/zab.h"

namespace qlab::zab {
namespace {

using consensus::Effect;
using consensus::Entry;
using consensus::EntryKind;
using consensus::Input;
using consensus::LogId;
using consensus::Message;
using consensus::StepWorld;

constexpr NodeId follower{1};
constexpr NodeId leader{3};

// Three nodes: the last leads epoch 1, and all have one entry.
class Group {
 public:
  Group() {
    StepWorld::Options options;
    for (int i = 1; i <= 3; ++i) options.config.members.push_back({NodeId{i}});
    world = std::make_unique<StepWorld>(make_zab, options);
    world->observe([this](NodeId node, const Input& input, const std::vector<Effect>& effects) {
      const auto* receive = std::get_if<in::Receive>(&input);
      if (receive != nullptr) links[{receive->from, node}] = receive->link;
      for (const Effect& effect : effects) {
        const auto* trace = std::get_if<out::Trace>(&effect);
        if (trace == nullptr) continue;
        traces.push_back(trace->reason.empty()
                             ? std::string(trace->action)
                             : fmt::format("{} {}", trace->action, trace->reason));
      }
    });
    for (int i = 1; i <= 3; ++i) world->add(NodeId{i});
    world->advance(std::chrono::seconds(1), true);
    world->step(leader, in::Propose{consensus::RequestId{1}, {body()}, std::nullopt});
    BOOST_REQUIRE(world->settle());
    BOOST_REQUIRE(world->nodes().at(leader).active == Epoch{1});
    traces.clear();
  }

  static std::shared_ptr<const Bytes> body() { return std::make_shared<const Bytes>(1); }
  static Entry entry(std::int64_t epoch, std::int64_t index) {
    return {{Epoch{epoch}, LogIndex{index}}, EntryKind::data, body()};
  }
  static LogId id(std::int64_t epoch, std::int64_t index) {
    return {Epoch{epoch}, LogIndex{index}};
  }

  // What the receiver says to it first.
  std::string hand(NodeId from, NodeId to, Message message, int link_shift = 0) {
    traces.clear();
    const auto link =
        static_cast<std::uint32_t>(static_cast<int>(links.at({from, to})) + link_shift);
    world->step(to, in::Receive{from, link, std::make_shared<const Message>(std::move(message))});
    return traces.empty() ? "nothing" : traces.front();
  }
  std::string to_follower(Payload payload, std::int64_t epoch = 1) {
    return hand(leader, follower, encode(Epoch{epoch}, std::move(payload)));
  }
  std::string to_leader(Payload payload, std::int64_t epoch = 1) {
    return hand(follower, leader, encode(Epoch{epoch}, std::move(payload)));
  }
  std::string role(NodeId node) const {
    return std::string(world->nodes().at(node).module->status().role);
  }

  std::unique_ptr<StepWorld> world;
  std::map<std::pair<NodeId, NodeId>, std::uint32_t> links;
  std::vector<std::string> traces;
};

BOOST_AUTO_TEST_SUITE(zab_refusals)

BOOST_AUTO_TEST_CASE(every_message_comes_back_from_its_bytes) {
  consensus::Config config;
  config.members = {{NodeId{1}}};
  const consensus::SnapshotMeta image{Group::id(1, 4), config, 3};
  const std::vector<Entry> entries = {Group::entry(1, 5), Group::entry(2, 6)};
  const std::vector<Payload> all = {Notification{7,
                                                 {NodeId{2}, Group::id(1, 4), Epoch{1}},
                                                 PeerState::leading,
                                                 true,
                                                 Group::id(1, 3),
                                                 config},
                                    FollowerInfo{1, Epoch{4}},
                                    LeaderInfo{2},
                                    AckEpoch{3, true, Epoch{1}, Group::id(1, 4)},
                                    Trunc{4, Group::id(1, 4)},
                                    Diff{5, Group::id(1, 4), entries},
                                    Snap{6, image, 1, Bytes(2)},
                                    SnapAck{7, 3},
                                    NewLeader{8, Group::id(1, 4)},
                                    AckNewLeader{9},
                                    UpToDate{10, LogIndex{4}},
                                    Proposal{11, Group::id(1, 4), entries},
                                    Ack{12, LogIndex{4}},
                                    Commit{13, LogIndex{4}},
                                    CommitAndActivate{14, LogIndex{4}, NodeId{2}},
                                    Inform{15, Group::id(1, 4), entries},
                                    Ping{16, 9},
                                    PingReply{17, 9}};
  BOOST_REQUIRE(all.size() == std::variant_size_v<Payload>);
  for (const Payload& payload : all) {
    const Message message = encode(Epoch{2}, payload);
    BOOST_TEST_CONTEXT(describe(message)) {
      const auto decoded = decode(message);
      BOOST_REQUIRE(decoded.has_value());
      BOOST_TEST(describe(encode(Epoch{2}, *decoded)) == describe(message));
      BOOST_TEST((encode(Epoch{2}, *decoded).head == message.head));
      Message longer = message;
      longer.head.push_back(std::byte{0});
      BOOST_TEST(!decode(longer).has_value());
      for (std::size_t size = 0; size < message.head.size(); ++size) {
        Message shorter = message;
        shorter.head.resize(size);
        BOOST_TEST(!decode(shorter).has_value());
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(garbage_is_dropped_and_changes_nothing) {
  Group group;
  Prng random(1);
  for (int i = 0; i < 2000; ++i) {
    Message message;
    message.kind = static_cast<std::uint16_t>(random.below(25));
    message.epoch = Epoch{static_cast<std::int64_t>(random.below(3))};
    message.head.resize(random.below(3));
    for (std::byte& byte : message.head) byte = static_cast<std::byte>(random.below(256));
    BOOST_TEST(group.hand(leader, follower, message) == "DropMalformed");
  }
  BOOST_TEST(group.role(follower) == "following");
}

BOOST_AUTO_TEST_CASE(a_message_of_an_earlier_session_is_refused) {
  Group group;
  BOOST_TEST(group.to_follower(Commit{0, LogIndex{1}}) == "DropOldSession");
  BOOST_TEST(group.to_follower(LeaderInfo{1}) == "DropOldSession");
  BOOST_TEST(group.to_leader(Ack{0, LogIndex{1}}) == "DropOldSession");
  BOOST_TEST(group.role(leader) == "leading");
}

BOOST_AUTO_TEST_CASE(a_message_of_another_epoch_is_refused) {
  Group group;
  BOOST_TEST(group.to_follower(Commit{1, LogIndex{1}}, 2) == "DropWrongEpoch");
  BOOST_TEST(group.to_leader(Ack{1, LogIndex{1}}, 2) == "DropWrongEpoch");
  BOOST_TEST((group.world->nodes().at(follower).commit == LogIndex{1}));
}

BOOST_AUTO_TEST_CASE(a_message_on_another_stream_ends_the_session) {
  Group group;
  const Message commit = encode(Epoch{1}, Commit{1, LogIndex{1}});
  BOOST_TEST(group.hand(leader, follower, commit, 1) == "LearnerShutdown new_stream");
  BOOST_TEST(group.traces.back() == "DropOldSession");
  const Message ack = encode(Epoch{1}, Ack{1, LogIndex{1}});
  BOOST_TEST(group.hand(follower, leader, ack, 1) == "LeaderDropsLearner new_stream");
  BOOST_TEST(group.traces.back() == "DropOldSession");
}

BOOST_AUTO_TEST_CASE(what_was_said_already_is_refused_when_it_is_replayed) {
  Group group;
  BOOST_TEST(group.to_follower(Trunc{1, {}}) == "DropTrunc after_new_leader");
  BOOST_TEST(group.to_follower(Diff{1, {}, {}}) == "DropDiff after_new_leader");
  BOOST_TEST(group.to_follower(NewLeader{1, {}}) == "DropNewLeader twice");
  BOOST_TEST(group.to_follower(UpToDate{1, {}}) == "DropUpToDate not_acknowledged");
  consensus::Config config;
  config.members = {{NodeId{1}}};
  BOOST_TEST(group.to_follower(Snap{1, {Group::id(1, 9), config, 1}, 0, Bytes(1)}) ==
             "DropSnap after_new_leader");
  BOOST_TEST(group.to_leader(AckEpoch{1, false, Epoch{1}, {}}) == "DropAckEpoch twice");
  BOOST_TEST(group.to_leader(AckNewLeader{1}) == "DropAckNewLeader not_asked");
  BOOST_TEST(group.to_leader(SnapAck{1, 0}) == "DropSnapAck not_asked");
  BOOST_TEST(group.to_leader(PingReply{1, 1000}) == "DropPingReply not_asked");
  BOOST_TEST(group.role(follower) == "following");
}

// It would begin the learner's session anew, of which the learner knows nothing: the leader loses a
// follower that it has.
BOOST_AUTO_TEST_CASE(a_learner_asks_to_follow_once_in_a_session) {
  Group group;
  BOOST_TEST(group.to_leader(FollowerInfo{1, Epoch{0}}, 0) == "DropFollowerInfo twice");
  group.world->disconnect(follower, leader);
  group.world->connect(follower, leader);
  group.world->advance(std::chrono::seconds(1), true);
  BOOST_REQUIRE(group.role(follower) == "following");
  BOOST_TEST(group.to_leader(FollowerInfo{1, Epoch{0}}, 0) == "DropFollowerInfo twice");
  const Message old = encode(Epoch{0}, FollowerInfo{1, Epoch{0}});
  BOOST_TEST(group.hand(follower, leader, old, -1) == "DropOldStream");
  BOOST_TEST(group.world->settle());
  BOOST_TEST(group.role(leader) == "leading");
  BOOST_TEST(group.role(follower) == "following");
}

BOOST_AUTO_TEST_CASE(a_message_of_a_stream_that_is_over_ends_no_session) {
  Group group;
  const Message commit = encode(Epoch{1}, Commit{1, LogIndex{1}});
  BOOST_TEST(group.hand(leader, follower, commit, -1) == "DropOldStream");
  BOOST_TEST(group.role(follower) == "following");
  const Message ack = encode(Epoch{1}, Ack{1, LogIndex{1}});
  BOOST_TEST(group.hand(follower, leader, ack, -1) == "DropOldStream");
  BOOST_TEST(group.role(leader) == "leading");
}

BOOST_AUTO_TEST_CASE(an_acknowledgement_of_what_was_never_sent_commits_nothing) {
  Group group;
  BOOST_TEST(group.to_leader(Ack{1, LogIndex{2}}) == "DropAck not_asked");
  BOOST_TEST((group.world->nodes().at(leader).commit == LogIndex{1}));
}

BOOST_AUTO_TEST_CASE(a_hole_in_the_proposals_ends_the_session) {
  Group group;
  const std::vector<Entry> entries = {Group::entry(1, 3)};
  BOOST_TEST(group.to_follower(Proposal{1, Group::id(1, 2), entries}) == "DropProposal gap");
  BOOST_TEST(group.role(follower) == "looking");
}

BOOST_AUTO_TEST_CASE(a_commit_of_what_is_not_there_ends_the_session) {
  Group group;
  BOOST_TEST(group.to_follower(Commit{1, LogIndex{2}}) == "DropCommit gap");
  BOOST_TEST(group.role(follower) == "looking");
}

BOOST_AUTO_TEST_CASE(a_vote_for_nobody_that_votes_is_refused) {
  Group group;
  group.world->crash(leader);
  const Notification vote{9, {NodeId{8}, Group::id(1, 9), Epoch{1}}};
  BOOST_TEST(group.hand(NodeId{2}, follower, encode(Epoch{1}, vote)) ==
             "DropNotification not_a_voter");
}

BOOST_AUTO_TEST_CASE(an_epoch_before_the_one_we_accepted_is_refused) {
  Group group;
  group.world->crash(leader);
  group.world->advance(std::chrono::seconds(1), true);  // Node 2 leads epoch 2.
  BOOST_REQUIRE(group.world->nodes().at(NodeId{2}).active == Epoch{2});
  group.world->crash(NodeId{2});
  // It decides to follow 2 again, as votes of an ensemble say, and that one is of the past.
  const Vote past{NodeId{2}, Group::id(1, 1), Epoch{1}};
  const auto decided = [&](NodeId from, PeerState state) {
    return group.hand(from, follower, encode(Epoch{1}, Notification{9, past, state}));
  };
  decided(leader, PeerState::following);
  BOOST_TEST(decided(NodeId{2}, PeerState::leading) == "FLEDecide");
  const auto sessions = [&](SessionNumber number) {
    return group.hand(NodeId{2}, follower, encode(Epoch{1}, LeaderInfo{number}));
  };
  std::string said = "DropOldSession";
  for (SessionNumber number = 1; said == "DropOldSession"; ++number) said = sessions(number);
  BOOST_TEST(said == "DropLeaderInfo epoch_before_accepted");
}

// The store of images knows of a newer one before the log does; to ask for the old one until then
// would go on without end.
BOOST_AUTO_TEST_CASE(an_image_that_is_gone_is_not_asked_for_again) {
  Group group;
  StepWorld& world = *group.world;
  world.wipe(follower);
  world.restart(follower);
  world.take_snapshot(leader, 0);
  const auto says = [&](std::string_view what) {
    return std::find(group.traces.begin(), group.traces.end(), what) != group.traces.end();
  };
  for (int i = 0; i < 100 && !says("SendSnap"); ++i) {
    world.advance(std::chrono::milliseconds(10));
    for (const NodeId id : {follower, NodeId{2}, leader}) {
      world.write(id, SIZE_MAX);
      for (const NodeId to : {follower, NodeId{2}, leader}) world.deliver(id, to);
    }
  }
  BOOST_REQUIRE(says("SendSnap"));
  group.traces.clear();
  const consensus::SnapshotMeta image = world.nodes().at(leader).log.snapshot();
  world.step(leader, in::SnapshotChunk{follower, image.last, image.size, nullptr});
  BOOST_TEST(!says("SendSnap"));
  world.step(leader, in::Propose{consensus::RequestId{2}, {Group::body()}, std::nullopt});
  world.write(leader, SIZE_MAX);
  while (world.deliver(leader, NodeId{2})) world.write(NodeId{2}, SIZE_MAX);
  while (world.deliver(NodeId{2}, leader)) {
  }
  world.take_snapshot(leader, 0);
  BOOST_TEST(says("SendSnap"));
}

// ZooKeeper leaves such a follower out for as long as the leader lives.
BOOST_AUTO_TEST_CASE(a_leader_that_hears_of_a_later_accepted_epoch_begins_another) {
  Group group;
  group.to_leader(FollowerInfo{2, Epoch{7}}, 7);
  BOOST_REQUIRE(group.traces.size() >= 2u);
  BOOST_TEST(group.traces[group.traces.size() - 2] == "LeaderShutdown later_epoch_accepted");
  BOOST_TEST(group.traces.back() == "FLEVote own");
  group.world->advance(std::chrono::seconds(5), true);
  bool serves = false;
  for (const auto& [id, node] : group.world->nodes()) serves = serves || node.active > Epoch{1};
  BOOST_TEST(serves);
}

// It may have been accepted from another leader that proposed the same epoch.
BOOST_AUTO_TEST_CASE(an_epoch_that_was_accepted_before_counts_for_no_quorum) {
  consensus::Config config;
  config.members = {{NodeId{1}}, {NodeId{2}}, {NodeId{3}}};
  consensus::EntryLog log;
  Zab node({{NodeId{3}, {}}, {}, {{}, config, {}, config}, log, Prng(1), {}}, {});
  Time now{};
  std::vector<Effect> effects;
  const auto step = [&](const Input& input) {
    effects.clear();
    node.step(now, input, effects);
  };
  const auto receive = [&](NodeId from, Epoch epoch, Payload payload) {
    step(in::Receive{from, 1, std::make_shared<const Message>(encode(epoch, std::move(payload)))});
  };
  const auto enters_epoch = [&] {
    for (const Effect& effect : effects) {
      const auto* save = std::get_if<out::SaveHardState>(&effect);
      if (save != nullptr && save->state.synced_epoch == Epoch{1}) return true;
    }
    return false;
  };
  step(in::LinkUp{NodeId{1}, 1});
  receive(NodeId{1}, Epoch{0}, Notification{1, {NodeId{3}, {}, {}}});
  now = node.next_deadline();
  step(in::Timer{});
  receive(NodeId{1}, Epoch{0}, FollowerInfo{1, Epoch{0}});
  receive(NodeId{2}, Epoch{1}, FollowerInfo{1, Epoch{1}});
  step(in::WriteDone{consensus::WriteSeq{1}});
  receive(NodeId{2}, Epoch{1}, AckEpoch{1, true, Epoch{0}, {}});
  BOOST_TEST(!enters_epoch());
  receive(NodeId{1}, Epoch{1}, AckEpoch{1, false, Epoch{0}, {}});
  BOOST_TEST(enters_epoch());
}

// ZOOKEEPER-3701: a follower that could not cut its log went on with it.
BOOST_AUTO_TEST_CASE(a_log_that_cannot_be_cut_where_the_leader_says_stops_the_node) {
  consensus::Config config;
  config.members = {{NodeId{1}}, {NodeId{2}}};
  consensus::EntryLog log;
  log.append(Group::entry(1, 1));
  Zab node(
      {{NodeId{1}, {}}, {}, {{Epoch{1}, Epoch{1}, {}, {}}, config, {}, config}, log, Prng(1), {}},
      {});
  std::vector<Effect> effects;
  const auto step = [&](Time now, const Input& input) {
    effects.clear();
    node.step(now, input, effects);
  };
  const auto receive = [&](Time now, Epoch epoch, Payload payload) {
    const auto message = std::make_shared<const Message>(encode(epoch, std::move(payload)));
    step(now, in::Receive{NodeId{2}, 1, message});
  };
  step({}, in::LinkUp{NodeId{2}, 1});
  receive({}, Epoch{1}, Notification{1, {NodeId{2}, Group::id(1, 2), Epoch{1}}});
  const Time decided = node.next_deadline();
  step(decided, in::Timer{});
  receive(decided, Epoch{2}, LeaderInfo{1});
  receive(decided, Epoch{2}, Trunc{1, Group::id(2, 1)});
  BOOST_TEST(std::holds_alternative<out::Fatal>(effects.back()));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::zab
