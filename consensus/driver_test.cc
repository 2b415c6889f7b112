#include "consensus/driver_test.h"

#include "consensus/config.h"
#include "consensus/vote_store.h"

namespace qlab::consensus {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

BOOST_FIXTURE_TEST_SUITE(consensus_driver, Stage)

BOOST_AUTO_TEST_CASE(what_waits_for_a_write_leaves_when_it_is_durable_and_the_rest_at_once) {
  BOOST_REQUIRE(open());
  tell_links();
  world.node(one).disk().set_fault_hook([](const runtime::DiskAccess& access) {
    return runtime::DiskFault{
        .delay = seconds(access.operation == runtime::DiskOperation::sync ? 10 : 0)};
  });
  act({out::Append{WriteSeq{1}, {entry(0, 1)}}, send(1, 1), send(2, 0),
       out::Commit{LogIndex{1}, WriteSeq{1}}});
  world.run_for(seconds(5));
  BOOST_TEST((peer.kinds == std::vector<std::uint16_t>{2}));
  BOOST_TEST(machine.applied.empty());
  BOOST_TEST(count<in::WriteDone>() == 0u);
  world.run_for(seconds(10));
  BOOST_TEST((peer.kinds == std::vector<std::uint16_t>{2, 1}));
  BOOST_TEST(machine.applied.size() == 1u);
  BOOST_TEST(count<in::WriteDone>() == 1u);
  BOOST_TEST(count<in::Applied>() == 1u);
}

BOOST_AUTO_TEST_CASE(what_was_queued_during_a_sync_shares_the_next_one) {
  BOOST_REQUIRE(open());
  std::size_t syncs = 0;
  world.node(one).disk().set_fault_hook([&](const runtime::DiskAccess& access) {
    const bool sync = access.operation == runtime::DiskOperation::sync;
    syncs += sync ? 1 : 0;
    return runtime::DiskFault{.delay = milliseconds(sync ? 100 : 0)};
  });
  for (std::int64_t i = 1; i <= 20; ++i) {
    act({out::Append{WriteSeq{static_cast<std::uint64_t>(i)}, {entry(0, i)}}});
    world.run_for(milliseconds(5));
  }
  world.run_for(seconds(1));
  BOOST_TEST(syncs == 2u);
  BOOST_TEST((std::get<in::WriteDone>(strings.inputs.back()).up_to == WriteSeq{20}));
}

BOOST_AUTO_TEST_CASE(a_message_that_waits_dies_with_its_stream) {
  BOOST_REQUIRE(open());
  tell_links();
  world.node(one).disk().set_fault_hook([](const runtime::DiskAccess& access) {
    return runtime::DiskFault{
        .delay = seconds(access.operation == runtime::DiskOperation::sync ? 10 : 0)};
  });
  act({out::Append{WriteSeq{1}, {entry(0, 1)}}, send(1, 1)});
  act({out::CloseLink{two}});
  world.run_for(seconds(20));
  BOOST_TEST(count<in::LinkDown>() == 1u);
  BOOST_TEST(count<in::LinkUp>() == 2u);
  act({send(2, 1)});
  world.run_for(seconds(1));
  BOOST_TEST((peer.kinds == std::vector<std::uint16_t>{2}));
}

BOOST_AUTO_TEST_CASE(a_service_is_active_only_after_it_applied_what_it_builds_on) {
  BOOST_REQUIRE(open());
  act({out::Append{WriteSeq{1}, {entry(0, 1), entry(0, 2)}}, out::Commit{LogIndex{2}, WriteSeq{1}},
       out::Activate{Epoch{1}, LogIndex{2}}});
  BOOST_TEST(!machine.active.has_value());
  world.run_for(seconds(1));
  BOOST_TEST((machine.active == Epoch{1}));
  BOOST_TEST(machine.applied_at_activation == 2u);
  act({out::Deactivate{Epoch{1}}});
  BOOST_TEST(!machine.active.has_value());
  // One that is over before it began is never told.
  act({out::Append{WriteSeq{2}, {entry(2, 3)}}, out::Activate{Epoch{2}, LogIndex{3}}});
  act({out::Deactivate{Epoch{2}}, out::Commit{LogIndex{3}, WriteSeq{2}}});
  world.run_for(seconds(1));
  BOOST_TEST(machine.applied.size() == 3u);
  BOOST_TEST(machine.activations.size() == 1u);
}

BOOST_AUTO_TEST_CASE(proposals_that_linger_become_one_and_each_hears_of_its_own_entry) {
  DriverOptions options;
  options.self = {one, Uuid{1, 1}};
  options.linger = milliseconds(10);
  BOOST_REQUIRE(open(std::move(options)));
  const auto ask = [this](std::size_t entries, std::optional<Epoch> epoch) {
    return runtime::begin(world, one, driver->propose(std::vector<Bytes>(entries), epoch));
  };
  const auto a = ask(1, {});
  const auto b = ask(2, {});
  world.run_for(milliseconds(5));
  BOOST_TEST(count<in::Propose>() == 0u);
  const auto c = ask(1, Epoch{4});  // Of another epoch: it cannot join.
  world.run_for(milliseconds(20));
  BOOST_REQUIRE(count<in::Propose>() == 2u);
  const auto first = std::get<in::Propose>(strings.inputs[0]);
  BOOST_TEST(first.bodies.size() == 3u);
  act({out::Append{WriteSeq{1}, {entry(0, 1), entry(0, 2), entry(0, 3)}},
       out::Commit{LogIndex{3}, WriteSeq{0}},
       out::Outcome{first.request, Fate::committed, {Epoch{0}, LogIndex{3}}, {}}});
  world.run_for(milliseconds(1));
  BOOST_REQUIRE(a->value.has_value());
  BOOST_TEST((a->value->at.index == LogIndex{1}));
  BOOST_TEST((b->value->at.index == LogIndex{3}));
  BOOST_TEST(!c->value.has_value());
  close();
  world.run_for(milliseconds(1));
  BOOST_TEST((c->value->fate == Fate::unknown));
}

BOOST_AUTO_TEST_CASE(its_timer_follows_the_deadline_of_the_module) {
  BOOST_REQUIRE(open());
  strings.deadline = world.node(one).now() + seconds(3);
  act({});
  world.run_for(seconds(2));
  BOOST_TEST(count<in::Timer>() == 0u);
  strings.deadline = world.node(one).now() + milliseconds(100);
  act({});
  world.run_for(milliseconds(99));
  BOOST_TEST(count<in::Timer>() == 0u);
  world.run_for(seconds(5));
  BOOST_TEST(count<in::Timer>() == 1u);
}

BOOST_AUTO_TEST_CASE(garbage_is_dropped_before_the_module_sees_it) {
  BOOST_REQUIRE(open());
  driver->receive(two, runtime::LinkEpoch{1}, Bytes(40, std::byte{7}));
  driver->receive(two, runtime::LinkEpoch{1}, encode(Message{1, Epoch{1}, {}, {}}));
  BOOST_TEST(count<in::Receive>() == 1u);
}

BOOST_AUTO_TEST_CASE(a_full_disk_is_told_once_and_nothing_is_stepped_after) {
  BOOST_REQUIRE(open());
  world.node(one).disk().set_fault_hook([](const runtime::DiskAccess& access) {
    return runtime::DiskFault{.error = access.operation == runtime::DiskOperation::write ? 28 : 0};
  });
  const auto asked = runtime::begin(world, one, driver->propose(std::vector<Bytes>(1), {}));
  world.run_for(milliseconds(1));
  act({out::Append{WriteSeq{1}, {entry(0, 1)}}, send(1, 1)});
  world.run_for(seconds(1));
  BOOST_REQUIRE(fatal.size() == 1u);
  BOOST_TEST((fatal[0].code == Errc::no_space));
  BOOST_TEST((asked->value->fate == Fate::unknown));
  const std::size_t before = strings.inputs.size();
  act({out::Append{WriteSeq{2}, {entry(0, 2)}}});
  world.run_for(seconds(1));
  BOOST_TEST(strings.inputs.size() == before);
  BOOST_TEST(peer.kinds.empty());
}

BOOST_AUTO_TEST_CASE(a_vote_of_another_replica_is_refused) {
  BOOST_REQUIRE(open(1));
  close();
  const auto other = open(2);
  BOOST_REQUIRE(!other.has_value());
  BOOST_TEST((other.error().code == Errc::invalid));
  BOOST_TEST(open(1).has_value());
}

BOOST_AUTO_TEST_CASE(a_log_ahead_of_its_vote_is_refused) {
  BOOST_REQUIRE(open());
  act({out::SaveHardState{WriteSeq{1}, voted(3)}, out::Append{WriteSeq{2}, {entry(3, 1)}}});
  world.run_for(seconds(1));
  close();
  auto& disk = world.node(one).disk();
  const Bytes vote = *disk.read_file("metadata/vote");
  BOOST_REQUIRE(disk.remove("metadata/vote").has_value());
  BOOST_TEST(open().error().context == "the log has 1 entries, but no vote is beside it");
  // A vote of an older life, as a restored backup would bring.
  BOOST_REQUIRE(VoteStore::open(&disk, "metadata/vote", {one, Uuid{1, 1}})->save(voted(2), {}));
  BOOST_TEST(open().error().context ==
             "the log has entries of epoch 3, and the vote beside it is of epoch 2");
  BOOST_REQUIRE(disk.write_file_atomically("metadata/vote", vote).has_value());
  BOOST_TEST(open().has_value());
}

BOOST_AUTO_TEST_CASE(the_configuration_is_that_of_the_last_entry_that_has_one) {
  BOOST_REQUIRE(open(options_with_images()));
  Config grown = options_with_images().config;
  grown.members.push_back(Member{two});
  const auto body = std::make_shared<const Bytes>(encode_config(grown));
  act({out::SaveHardState{WriteSeq{1}, voted(1)},
       out::Append{WriteSeq{2}, {{{Epoch{1}, LogIndex{1}}, EntryKind::config, body}}},
       out::ConfigActive{grown, {Epoch{1}, LogIndex{1}}}});
  world.run_for(seconds(1));
  BOOST_TEST((driver->config() == grown));
  close();
  BOOST_REQUIRE(open(options_with_images()));
  BOOST_TEST((driver->config() == grown));
  act({out::Truncate{WriteSeq{1}, LogIndex{1}}});
  world.run_for(seconds(1));
  close();
  BOOST_REQUIRE(open(options_with_images()));
  BOOST_TEST((driver->config() == options_with_images().config));
}

BOOST_AUTO_TEST_CASE(what_a_module_cannot_do_is_said_and_not_tried) {
  BOOST_REQUIRE(open(options_with_images()));
  const auto changed = run(world, one, driver->reconfigure(options_with_images().config));
  BOOST_TEST((changed.error().code == Errc::unsupported));
  const auto moved = run(world, one, driver->transfer(std::nullopt));
  BOOST_TEST((moved.error().code == Errc::unsupported));
}

BOOST_AUTO_TEST_CASE(a_vote_without_its_log_is_refused_and_one_ahead_of_it_is_not) {
  BOOST_REQUIRE(open());
  act({out::SaveHardState{WriteSeq{1}, voted(5)}});
  world.run_for(seconds(1));
  close();
  BOOST_REQUIRE(open());  // Voted in epoch 5, and died before its first entry came.
  close();
  BOOST_REQUIRE(world.node(one).disk().remove("metadata/log-00000000000000000001").has_value());
  BOOST_TEST(open().error().context == "the log in metadata is missing, and a vote is beside it");
}

std::vector<std::string> trace_of(const std::string& trace) {
  std::vector<std::string> events;
  std::size_t at = 0;
  while ((at = trace.find("\"event\":\"", at)) != std::string::npos) {
    at += 9;
    events.push_back(trace.substr(at, trace.find('"', at) - at));
  }
  return events;
}

void act_out(Stage& stage) {
  stage.tell_links();
  stage.act({out::ElectionStarted{Epoch{1}, "election_timeout"},
             out::SaveHardState{WriteSeq{1}, voted(1)}, out::LeaderKnown{Epoch{1}, one},
             out::Append{WriteSeq{2}, {entry(1, 1), entry(1, 2)}}, stage.send(1, 2),
             out::Commit{LogIndex{2}, WriteSeq{2}},
             out::Trace{"AdvanceCommitIndex", two, Epoch{1}, {}}});
  stage.world.run_for(seconds(1));
  stage.driver->receive(two, runtime::LinkEpoch{1}, encode(Message{9, Epoch{1}, {}, {}}));
}

BOOST_AUTO_TEST_CASE(its_trace_tells_each_action_in_order_and_details_only_where_asked) {
  const std::vector<std::string> actions = {"election_started", "hard_state", "became_leader",
                                            "leader_known", "protocol"};
  DriverOptions options;
  options.self = {one, Uuid{1, 1}};
  options.config.members = {Member{one}, Member{two}};
  BOOST_REQUIRE(open(options));
  act_out(*this);
  auto told = trace_of(world.recent_trace());
  BOOST_REQUIRE(told.size() > actions.size());
  BOOST_TEST(std::vector<std::string>(told.end() - 5, told.end()) == actions);

  Stage detailed;
  options.trace = {.details = true, .entries_every = 2, .describe = [](const Message& m) {
                     return fmt::format("kind-{} of a test", m.kind);
                   }};
  BOOST_REQUIRE(detailed.open(options));
  act_out(detailed);
  BOOST_TEST(detailed.world.digest() == world.digest());
  const std::string trace = detailed.world.recent_trace();
  const std::vector<std::string> all = {
      "election_started", "hard_state", "became_leader", "leader_known", "append", "protocol",
      "durable",          "send",       "commit",        "applied",      "entry",  "receive"};
  told = trace_of(trace);
  BOOST_REQUIRE(told.size() > all.size());
  BOOST_TEST(std::vector<std::string>(told.end() - 12, told.end()) == all);
  BOOST_TEST(trace.find(R"("kind":"kind-1","epoch":1,"first":-1)") != std::string::npos);
  BOOST_TEST(trace.find(R"("event":"entry","epoch":1,"index":2,"proposed":1)") !=
             std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::consensus
