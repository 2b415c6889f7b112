// Messages that no replica of ours sends, or sent long ago: each is refused by its name, and
// changes nothing that was promised.
#include <boost/test/unit_test.hpp>

#include "consensus/config.h"
#include "consensus/entry_log.h"
#include "raft/kraft/kraft.h"

namespace qlab::raft::kraft {
namespace {

using consensus::Effect;
using consensus::Entry;
using consensus::EntryKind;
using consensus::LogId;
using consensus::Message;

constexpr DirectoryId our_disk{7, 2};

Entry entry(std::int64_t epoch, std::int64_t index, EntryKind kind = EntryKind::data) {
  return {{Epoch{epoch}, LogIndex{index}}, kind, std::make_shared<const Bytes>(3)};
}

// Node 2 of three, in epoch 2, with entries 1/1 1/2 1/3; its links are up.
struct Node {
  explicit Node(std::optional<NodeId> leader) {
    const consensus::HardState state{Epoch{2}, Epoch{2}, std::nullopt, leader};
    for (std::int64_t i = 1; i <= 3; ++i) log.append(entry(1, i));
    consensus::Config config;
    for (int i = 1; i <= 3; ++i) config.members.push_back({NodeId{i}});
    module = make_kraft(
        {{NodeId{2}, our_disk}, {}, {state, config, LogIndex{1}, config}, log, Prng(1), Time{}});
    for (const int peer : {1, 3}) step(in::LinkUp{NodeId{peer}, 1});
  }
  std::vector<Effect> step(const consensus::Input& input) {
    std::vector<Effect> effects;
    module->step(Time{}, input, effects);
    module->check_invariants();
    for (const Effect& effect : effects) {
      if (const auto* send = std::get_if<out::Send>(&effect)) sent = *send->message;
      if (const auto* append = std::get_if<out::Append>(&effect)) {
        for (const Entry& one : append->entries) log.append(one);
      }
      if (const auto* cut = std::get_if<out::Truncate>(&effect)) log.truncate(cut->from);
      if (const auto* image = std::get_if<out::InstallSnapshot>(&effect)) log.install(image->meta);
    }
    return effects;
  }
  std::vector<Effect> receive(int from, int epoch, const Payload& payload) {
    auto message = std::make_shared<const Message>(encode(Epoch{epoch}, payload));
    return step(in::Receive{NodeId{from}, 1, message});
  }
  // What the refusal of a message is called: the only thing that it causes, but for asking later.
  std::string refusal(int from, int epoch, const Payload& payload) {
    const LogId last = module->status().last;
    const LogIndex commit = module->status().commit;
    std::string names;
    for (const Effect& effect : receive(from, epoch, payload)) {
      if (const auto* trace = std::get_if<out::Trace>(&effect)) {
        names += fmt::format("{} {}", trace->action, trace->reason);
      } else if (!std::holds_alternative<out::LeaderKnown>(effect)) {
        names += " and more";
      }
    }
    BOOST_TEST((module->status().last == last));
    BOOST_TEST((module->status().commit == commit));
    return names;
  }
  // The correlation of the last request.
  Correlation asked() const { return std::get<Fetch>(decode(*sent).value()).correlation; }

  consensus::EntryLog log;
  std::unique_ptr<consensus::Module> module;
  std::optional<Message> sent;
};

// Following node 1 in epoch 2; its fetch is on its way.
struct Follower : Node {
  Follower() : Node(NodeId{1}) {}

  FetchResponse response() const {
    FetchResponse good;
    good.correlation = asked();
    good.leader = NodeId{1};
    good.high_watermark = LogIndex{2};
    return good;
  }
  FetchSnapshotResponse piece(std::string_view bytes, std::uint64_t position) const {
    FetchSnapshotResponse good;
    good.correlation = std::get<FetchSnapshot>(decode(*sent).value()).correlation;
    good.found = true;
    good.leader = NodeId{1};
    good.snapshot = {Epoch{2}, LogIndex{9}};
    good.size = 6;
    good.position = position;
    consensus::Config config;
    config.members.push_back({NodeId{1}});
    good.config = consensus::encode_config(config);
    for (const char c : bytes) good.bytes.push_back(static_cast<std::byte>(c));
    return good;
  }
  // Asks for the image that `piece` is of.
  void begin_download() {
    FetchResponse gone = response();
    gone.snapshot = LogId{Epoch{2}, LogIndex{9}};
    receive(1, 2, gone);
  }
};

BOOST_AUTO_TEST_SUITE(kraft_refusals)

BOOST_AUTO_TEST_CASE(a_malformed_message_changes_nothing) {
  Follower node;
  const std::uint64_t before = node.module->digest();
  Message message = encode(Epoch{7}, VoteResponse{});
  message.head.pop_back();
  const auto effects = node.step(in::Receive{NodeId{1}, 1, std::make_shared<Message>(message)});
  BOOST_REQUIRE(effects.size() == 1u);
  BOOST_TEST(std::get<out::Trace>(effects[0]).action == "DropMalformed");
  BOOST_TEST(node.module->digest() == before);
}

BOOST_AUTO_TEST_CASE(an_answer_that_was_not_asked_for_is_dropped) {
  Follower node;
  FetchResponse response = node.response();
  response.correlation.number += 1;
  BOOST_TEST(node.refusal(1, 2, response) == "DropFetchResponse stale");
  BOOST_TEST(node.refusal(3, 2, node.response()) == "DropFetchResponse stale");
  BOOST_TEST(node.refusal(1, 2, VoteResponse{{}, false, true, {}}) == "DropVoteResponse stale");
}

BOOST_AUTO_TEST_CASE(an_answer_that_comes_twice_is_taken_once) {
  Follower node;
  FetchResponse response = node.response();
  response.entries = {entry(2, 4)};
  node.receive(1, 2, response);
  BOOST_TEST(node.module->status().last.index.value() == 4);
  BOOST_TEST(node.refusal(1, 2, response) == "DropFetchResponse stale");
}

BOOST_AUTO_TEST_CASE(an_answer_of_an_epoch_that_is_over_is_dropped) {
  Follower node;
  BOOST_TEST(node.refusal(1, 1, node.response()) == "DropStale fenced_leader_epoch");
}

BOOST_AUTO_TEST_CASE(another_leader_in_the_same_epoch_is_not_believed) {
  Follower node;
  BOOST_TEST(node.refusal(3, 2, BeginQuorumEpoch{}) == "DropLeader another_leads");
  BOOST_TEST(node.refusal(3, 2, EndQuorumEpoch{}) == "DropLeader another_leads");
  BOOST_TEST((node.module->status().leader != NodeId{3}));
}

BOOST_AUTO_TEST_CASE(entries_that_do_not_follow_the_log_are_dropped) {
  Follower node;
  FetchResponse response = node.response();
  response.entries = {entry(2, 6)};
  BOOST_TEST(node.refusal(1, 2, response) == "DropFetchResponse does_not_follow");
}

BOOST_AUTO_TEST_CASE(a_configuration_that_cannot_be_read_is_not_appended) {
  Follower node;
  FetchResponse response = node.response();
  response.entries = {entry(2, 4, EntryKind::config)};
  BOOST_TEST(node.refusal(1, 2, response) == "DropFetchResponse damaged_config");
}

BOOST_AUTO_TEST_CASE(what_is_committed_is_not_cut) {
  Follower node;  // Its first entry is applied.
  FetchResponse response = node.response();
  response.diverging_epoch = LogId{};
  BOOST_TEST(node.refusal(1, 2, response) == "DropFetchResponse diverges_below_high_watermark");
}

BOOST_AUTO_TEST_CASE(a_divergence_that_cuts_nothing_is_dropped) {
  Follower node;
  FetchResponse response = node.response();
  response.diverging_epoch = LogId{Epoch{1}, LogIndex{3}};
  BOOST_TEST(node.refusal(1, 2, response) == "DropFetchResponse diverges_nowhere");
}

BOOST_AUTO_TEST_CASE(an_image_of_what_is_committed_is_not_fetched) {
  Follower node;
  FetchResponse response = node.response();
  response.snapshot = LogId{Epoch{1}, LogIndex{1}};
  BOOST_TEST(node.refusal(1, 2, response) == "DropFetchResponse snapshot_below_high_watermark");
}

// The driver puts one image at a time in the place of the log.
BOOST_AUTO_TEST_CASE(an_image_is_not_fetched_before_the_one_before_is_installed) {
  for (const bool is_installed : {false, true}) {
    Follower node;
    node.begin_download();
    node.receive(1, 2, node.piece("abcdef", 0));
    BOOST_REQUIRE((node.module->status().last == LogId{Epoch{2}, LogIndex{9}}));
    if (is_installed) node.step(in::SnapshotInstalled{{Epoch{2}, LogIndex{9}}});
    FetchResponse newer = node.response();
    newer.snapshot = LogId{Epoch{2}, LogIndex{12}};
    BOOST_TEST(node.refusal(1, 2, newer) ==
               (is_installed ? "FetchSnapshot  and more" : "DropFetchResponse still_installing"));
  }
}

BOOST_AUTO_TEST_CASE(a_piece_of_an_image_that_was_not_asked_for_is_not_stored) {
  Follower node;
  node.begin_download();
  BOOST_TEST(node.refusal(1, 2, node.piece("def", 3)) == "DropSnapshot not_the_piece_asked_for");
}

BOOST_AUTO_TEST_CASE(an_image_whose_configuration_cannot_be_read_is_not_stored) {
  Follower node;
  node.begin_download();
  FetchSnapshotResponse piece = node.piece("abc", 0);
  piece.config.pop_back();
  BOOST_TEST(node.refusal(1, 2, piece) == "DropSnapshot damaged_config");
}

BOOST_AUTO_TEST_CASE(an_image_that_changes_its_size_on_the_way_is_given_up) {
  Follower node;
  node.begin_download();
  node.receive(1, 2, node.piece("abc", 0));
  FetchSnapshotResponse piece = node.piece("def", 3);
  piece.size = 7;
  BOOST_TEST(node.refusal(1, 2, piece) == "DropSnapshot not_the_piece_asked_for");
}

BOOST_AUTO_TEST_CASE(a_voter_on_another_disk_is_not_the_one_that_was_meant) {
  Follower node;
  const DirectoryId other{9, 9};
  const LogId last{Epoch{2}, LogIndex{9}};
  BOOST_TEST(node.refusal(3, 3, Vote{{}, false, {}, other, last}) == "DropVote invalid_voter_key");
  BOOST_TEST(node.refusal(3, 3, BeginQuorumEpoch{other}) ==
             "DropBeginQuorumEpoch invalid_voter_key");
  BOOST_TEST(node.module->status().epoch.value() == 2);
}

BOOST_AUTO_TEST_CASE(one_vote_is_given_in_an_epoch_and_to_one_disk) {
  Node node(std::nullopt);
  const LogId last{Epoch{2}, LogIndex{9}};
  const auto granted = [&](int from, DirectoryId disk) {
    node.receive(from, 5, Vote{{}, false, disk, our_disk, last});
    return std::get<VoteResponse>(decode(*node.sent).value()).granted;
  };
  BOOST_TEST(granted(1, {1, 1}));
  BOOST_TEST(granted(1, {1, 1}));
  BOOST_TEST(!granted(1, {1, 2}));
  BOOST_TEST(!granted(3, {3, 3}));
}

BOOST_AUTO_TEST_CASE(a_vote_is_not_given_to_a_shorter_log) {
  Node node(std::nullopt);
  node.receive(1, 5, Vote{{}, false, {}, {}, {Epoch{1}, LogIndex{2}}});
  BOOST_TEST(!std::get<VoteResponse>(decode(*node.sent).value()).granted);
  BOOST_TEST(node.module->status().epoch.value() == 5);
}

BOOST_AUTO_TEST_CASE(the_answer_to_a_pre_vote_is_no_vote) {
  Node node(std::nullopt);
  const Time due = node.module->next_deadline();
  std::vector<Effect> effects;
  node.module->step(due, in::Timer{}, effects);
  BOOST_TEST(node.module->status().role == "prospective");
  std::optional<Correlation> correlation;
  for (const Effect& effect : effects) {
    const auto* send = std::get_if<out::Send>(&effect);
    if (send != nullptr) correlation = std::get<Vote>(decode(*send->message).value()).correlation;
  }
  const auto receive = [&](int epoch, const VoteResponse& response) {
    effects.clear();
    auto message = std::make_shared<const Message>(encode(Epoch{epoch}, response));
    node.module->step(due, in::Receive{NodeId{1}, 1, message}, effects);
    return node.module->status().role;
  };
  BOOST_TEST(receive(2, {*correlation, false, true, {}}) == "prospective");
  BOOST_TEST(receive(2, {*correlation, true, true, {}}) == "candidate");
  // The same answer again, and one to another request of ours.
  BOOST_TEST(receive(2, {*correlation, true, true, {}}) == "candidate");
  BOOST_TEST(receive(3, {*correlation, false, true, {}}) == "candidate");
}

// A wiped replica may be asked, in the epoch that it led before, for an image of that epoch.
BOOST_FIXTURE_TEST_CASE(who_is_behind_answers_a_later_epochs_fetch_of_an_image_in_its_own,
                        Follower) {
  const LogId later{Epoch{5}, LogIndex{9}};
  receive(3, 5, FetchSnapshot{{9, 1}, {7, 3}, later, 0});
  BOOST_TEST((sent->epoch == Epoch{2}));
  const auto answer = decode(*sent);
  BOOST_REQUIRE(answer.has_value());
  BOOST_TEST(!std::get<FetchSnapshotResponse>(*answer).found);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::raft::kraft
