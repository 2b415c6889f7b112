// Messages that must change nothing: damaged, of another epoch, replayed, or that nobody asked for.
// Each is refused with a trace that names it.
#include <boost/test/unit_test.hpp>

#include "consensus/step_world.h"
#include "raft/raft.h"

namespace qlab::raft {
namespace {

using consensus::Effect;
using consensus::Fate;
using consensus::Input;
using consensus::LogId;
using consensus::Message;
using consensus::RequestId;
using consensus::StepWorld;

constexpr NodeId leader{1};
constexpr NodeId follower{2};

// Three nodes of which the first leads epoch 1, and what one of them does with a message.
struct Group {
  Group() {
    StepWorld::Options options;
    for (int i = 1; i <= 3; ++i) {
      options.config.members.push_back({NodeId{i}, consensus::MemberRole::voter});
    }
    options.tuning.forward_proposals = true;
    world = std::make_unique<StepWorld>(make_raft, options);
    world->observe([this](NodeId node, const Input&, const std::vector<Effect>& effects) {
      for (const Effect& effect : effects) {
        if (const auto* trace = std::get_if<out::Trace>(&effect)) {
          traces.push_back(fmt::format("{} {}", trace->action, trace->reason));
        }
        if (const auto* send = std::get_if<out::Send>(&effect)) sent[node].push_back(send->message);
        if (const auto* outcome = std::get_if<out::Outcome>(&effect)) {
          outcomes[outcome->request] = outcome->fate;
        }
        if (std::holds_alternative<out::ReadReady>(effect)) ++reads;
      }
    });
    for (int i = 1; i <= 3; ++i) world->add(NodeId{i});
    world->fire_timer(leader);
    BOOST_REQUIRE(world->settle());
    BOOST_REQUIRE(status(leader).role == "leader");
  }
  consensus::Status status(NodeId id) const { return world->nodes().at(id).module->status(); }
  DirectoryId disk(NodeId id) const { return world->nodes().at(id).key.directory; }

  void receive(NodeId to, NodeId from, std::shared_ptr<const Message> message) {
    traces.clear();
    world->step(to, in::Receive{from, 1, std::move(message)});
  }
  void receive(NodeId to, NodeId from, Epoch epoch, const Payload& payload) {
    receive(to, from, std::make_shared<const Message>(encode(epoch, payload)));
  }
  // What the message is refused with; it must have changed nothing of the protocol.
  std::string refusal(NodeId to, NodeId from, Epoch epoch, const Payload& payload) {
    const auto before = status(to);
    receive(to, from, epoch, payload);
    const auto after = status(to);
    BOOST_TEST((before.role == after.role && before.epoch == after.epoch));
    BOOST_TEST((before.commit == after.commit && before.last == after.last));
    return traces.empty() ? "nothing" : traces.back();
  }

  std::unique_ptr<StepWorld> world;
  std::vector<std::string> traces;
  std::map<NodeId, std::vector<std::shared_ptr<const Message>>> sent;
  std::map<RequestId, Fate> outcomes;
  int reads = 0;
};

constexpr Epoch now{1};
constexpr Epoch later{2};

BOOST_AUTO_TEST_SUITE(raft_refusals)

BOOST_AUTO_TEST_CASE(a_damaged_message_is_dropped_and_moves_no_epoch) {
  Group group;
  auto message = std::make_shared<Message>(encode(Epoch{9}, Heartbeat{}));
  message->head.pop_back();
  group.receive(follower, leader, message);
  BOOST_TEST(group.traces.back() == "DropMalformed ");
  BOOST_TEST((group.status(follower).epoch == now));
}

BOOST_AUTO_TEST_CASE(a_request_of_the_past_is_told_the_epoch) {
  Group group;
  group.receive(follower, NodeId{3}, later, Heartbeat{});
  for (const Payload& old :
       {Payload(VoteRequest{}), Payload(AppendRequest{}), Payload(Heartbeat{}),
        Payload(SnapshotRequest{
            {{now, LogIndex{1}}, {{{leader}}}, 0}, 0, std::make_shared<const Bytes>()})}) {
    BOOST_TEST(group.refusal(follower, leader, now, old) == "RejectStaleRequest epoch_is_over");
    BOOST_TEST((group.sent[follower].back()->epoch == later));
  }
}

BOOST_AUTO_TEST_CASE(an_answer_of_the_past_is_dropped) {
  Group group;
  const auto old = group.sent[follower].back();  // An acknowledgement of epoch 1.
  group.receive(leader, NodeId{3}, later, VoteRequest{false, true, {}, {now, LogIndex{1}}});
  group.receive(leader, follower, old);
  BOOST_TEST(group.traces.back() == "DropStaleResponse ");
}

BOOST_AUTO_TEST_CASE(a_candidate_is_ignored_while_a_leader_is_heard) {
  Group group;
  const VoteRequest request{false, false, group.disk(NodeId{3}), {now, LogIndex{1}}};
  BOOST_TEST(group.refusal(follower, NodeId{3}, later, request) ==
             "IgnoreVoteRequest hears_leader");
  BOOST_TEST(group.refusal(leader, NodeId{3}, later, request) == "IgnoreVoteRequest hears_leader");
}

BOOST_AUTO_TEST_CASE(a_vote_that_comes_twice_or_was_not_asked_for_counts_for_nothing) {
  Group group;
  const VoteReply vote{false, true, group.disk(follower)};
  BOOST_TEST(group.refusal(leader, follower, now, vote) == "DropRequestVoteResponse not_asked");
  const VoteReply pre{true, true, group.disk(follower)};
  BOOST_TEST(group.refusal(leader, follower, later, pre) == "DropRequestVoteResponse not_asked");
}

BOOST_AUTO_TEST_CASE(a_pre_vote_is_not_counted_as_a_vote) {
  Group group;
  group.world->crash(leader);
  group.world->fire_timer(follower);
  group.receive(follower, NodeId{3}, later, VoteReply{true, true, group.disk(NodeId{3})});
  BOOST_TEST(group.status(follower).role == "candidate");
  group.world->write(follower, 9);
  BOOST_TEST(group.refusal(follower, NodeId{3}, later, VoteReply{true, true, {}}) ==
             "DropRequestVoteResponse not_asked");
  BOOST_TEST(group.status(follower).role == "candidate");
}

BOOST_AUTO_TEST_CASE(the_vote_of_who_is_no_member_counts_for_nothing) {
  Group group;
  group.world->crash(leader);
  group.world->fire_timer(follower);
  BOOST_TEST(group.refusal(follower, NodeId{8}, later, VoteReply{true, true, {}}) ==
             "DropRequestVoteResponse no_member");
}

BOOST_AUTO_TEST_CASE(a_leader_drops_what_another_leader_of_its_epoch_would_send) {
  Group group;
  const consensus::SnapshotMeta image{{now, LogIndex{5}}, {{{leader}}}, 0};
  BOOST_TEST(group.refusal(leader, follower, now, AppendRequest{}) ==
             "DropAppendEntriesRequest we_lead");
  BOOST_TEST(group.refusal(leader, follower, now, Heartbeat{}) ==
             "DropAppendEntriesRequest we_lead");
  BOOST_TEST(group.refusal(leader, follower, now,
                           SnapshotRequest{image, 0, std::make_shared<const Bytes>()}) ==
             "DropInstallSnapshotRequest we_lead");
}

BOOST_AUTO_TEST_CASE(an_acknowledgement_of_what_is_not_in_the_log_is_dropped) {
  Group group;
  const AppendReply reply{true, LogIndex{99}, {}, {}, group.disk(follower)};
  BOOST_TEST(group.refusal(leader, follower, now, reply) == "DropAppendEntriesResponse match");
  BOOST_TEST(group.refusal(leader, follower, now, HeartbeatReply{99, group.disk(follower)}) ==
             "DropAppendEntriesResponse round");
}

BOOST_AUTO_TEST_CASE(a_refusal_that_comes_twice_moves_nothing_back) {
  Group group;
  const AppendReply old{false, {}, LogIndex{1}, LogId{}, group.disk(follower)};
  const auto before = group.status(leader).peers.front();
  BOOST_TEST(group.refusal(leader, follower, now, old) == "nothing");
  BOOST_TEST((group.status(leader).peers.front().next == before.next));
  BOOST_TEST(group.status(leader).peers.front().phase == before.phase);
}

BOOST_AUTO_TEST_CASE(the_answer_of_another_disk_is_not_counted) {
  Group group;
  BOOST_TEST(group.refusal(leader, follower, now, AppendReply{true, LogIndex{1}, {}, {}, {7, 7}}) ==
             "AnotherReplica ");
  BOOST_TEST((group.status(leader).peers.front().match == LogIndex{0}));
}

BOOST_AUTO_TEST_CASE(an_answer_about_an_image_that_is_not_sent_is_dropped) {
  Group group;
  BOOST_TEST(group.refusal(leader, follower, now,
                           SnapshotReply{{now, LogIndex{1}}, 0, group.disk(follower)}) ==
             "DropInstallSnapshotResponse another_image");
}

BOOST_AUTO_TEST_CASE(an_answer_beyond_the_image_is_dropped) {
  Group group;
  group.world->disconnect(leader, NodeId{3});
  group.world->step(leader, in::Propose{RequestId{1}, {std::make_shared<const Bytes>(1)}, {}});
  BOOST_REQUIRE(group.world->settle());
  group.world->take_snapshot(leader, 0);
  group.world->connect(leader, NodeId{3});
  BOOST_TEST(group.refusal(leader, NodeId{3}, now,
                           SnapshotReply{{now, LogIndex{2}}, 11, group.disk(NodeId{3})}) ==
             "DropInstallSnapshotResponse beyond_the_image");
}

BOOST_AUTO_TEST_CASE(a_piece_that_is_not_the_next_one_is_not_stored) {
  Group group;
  const consensus::SnapshotMeta image{{now, LogIndex{5}}, {{{leader}}}, 10};
  const auto bytes = std::make_shared<const Bytes>(4);
  group.receive(follower, leader, now, SnapshotRequest{image, 0, bytes});
  for (const std::uint64_t position : {0, 6}) {  // Again, and one too far.
    group.receive(follower, leader, now, SnapshotRequest{image, position, bytes});
    BOOST_TEST(describe(*group.sent[follower].back()) ==
               "snapshot_reply epoch=1 image=1/5 position=4");
  }
  const consensus::SnapshotMeta older{{now, LogIndex{4}}, {{{leader}}}, 10};
  BOOST_TEST(group.refusal(follower, leader, now, SnapshotRequest{older, 0, bytes}) ==
             "DropInstallSnapshotRequest older_image");
}

BOOST_AUTO_TEST_CASE(a_second_image_waits_until_the_first_is_installed) {
  Group group;
  const auto none = std::make_shared<const Bytes>();
  const auto image = [](std::int64_t last) {
    return consensus::SnapshotMeta{{now, LogIndex{last}}, {{{leader}}}, 0};
  };
  group.receive(follower, leader, now, SnapshotRequest{image(5), 0, none});
  BOOST_TEST((group.status(follower).commit == LogIndex{5}));
  BOOST_TEST(group.refusal(follower, leader, now, SnapshotRequest{image(6), 0, none}) ==
             "DropInstallSnapshotRequest still_installing");
  group.world->write(follower, 9);
  group.receive(follower, leader, now, SnapshotRequest{image(6), 0, none});
  BOOST_TEST((group.status(follower).commit == LogIndex{6}));
}

BOOST_AUTO_TEST_CASE(only_our_leader_hands_over_to_us_and_only_in_its_epoch) {
  Group group;
  BOOST_TEST(group.refusal(follower, NodeId{3}, now, TimeoutNow{}) ==
             "DropTimeoutNow not_our_leader");
  BOOST_TEST(group.refusal(leader, follower, now, TimeoutNow{}) == "DropTimeoutNow not_our_leader");
  group.receive(follower, NodeId{3}, later, Heartbeat{});
  BOOST_TEST(group.refusal(follower, leader, now, TimeoutNow{}) == "DropStaleResponse ");
}

BOOST_AUTO_TEST_CASE(who_does_not_lead_serves_no_read_and_takes_no_proposal) {
  Group group;
  BOOST_TEST(group.refusal(follower, NodeId{3}, now, ReadRequest{{5, 1}}) ==
             "DropReadRequest not_leader");
  BOOST_TEST(group.refusal(follower, NodeId{3}, now,
                           ForwardRequest{{5, 1}, {std::make_shared<const Bytes>(1)}}) ==
             "DropForwardRequest not_leader");
}

// An index of an earlier question would make a read stale.
BOOST_AUTO_TEST_CASE(an_answer_to_another_question_serves_no_read) {
  Group group;
  group.world->step(follower, in::Read{RequestId{1}});
  BOOST_REQUIRE(group.world->settle());
  BOOST_TEST(group.reads == 1);
  std::shared_ptr<const Message> old;
  for (const auto& message : group.sent[leader]) {
    if (describe(*message).starts_with("read_reply")) old = message;
  }
  BOOST_REQUIRE(old != nullptr);
  group.world->step(follower, in::Read{RequestId{2}});
  group.receive(follower, leader, old);
  BOOST_TEST(group.traces.back() == "DropReadReply not_asked");
  BOOST_TEST(group.reads == 1);
}

BOOST_AUTO_TEST_CASE(a_forwarded_proposal_that_comes_twice_is_proposed_once) {
  Group group;
  group.world->step(follower, in::Propose{RequestId{1}, {std::make_shared<const Bytes>(1)}, {}});
  const auto request = group.sent[follower].back();
  BOOST_REQUIRE(group.world->settle());
  BOOST_TEST((group.outcomes.at(RequestId{1}) == Fate::committed));
  const auto last = group.status(leader).last;
  group.receive(leader, follower, request);
  BOOST_TEST(group.traces.back() == "DropForwardRequest seen");
  BOOST_TEST((group.status(leader).last == last));
}

// It was appended, and whoever leads next may commit it.
BOOST_AUTO_TEST_CASE(a_forwarded_proposal_is_not_refused_after_it_was_taken) {
  Group group;
  group.world->step(follower, in::Propose{RequestId{1}, {std::make_shared<const Bytes>(1)}, {}});
  const auto request = group.sent[follower].back();
  BOOST_REQUIRE(group.world->deliver(follower, leader));
  group.world->step(leader, in::Resign{now});
  BOOST_REQUIRE(group.status(leader).role == "follower");
  BOOST_REQUIRE((group.status(leader).epoch == now));
  group.receive(leader, follower, request);
  BOOST_TEST(group.traces.back() == "DropForwardRequest seen");
}

BOOST_AUTO_TEST_CASE(a_fate_that_comes_twice_is_told_once) {
  Group group;
  BOOST_TEST(group.refusal(follower, leader, now, ForwardReply{{5, 1}, Fate::committed, {}}) ==
             "DropForwardReply not_asked");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::raft
