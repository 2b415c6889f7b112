// The driver by itself: over a module that does as it is told.
#include "consensus/driver.h"

#include <boost/test/unit_test.hpp>

#include "consensus/config.h"
#include "consensus/group_test.h"
#include "consensus/message.h"
#include "consensus/vote_store.h"

namespace qlab::consensus {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr NodeId one{1};
constexpr NodeId two{2};

// Notes what it is given, and answers with what the test has laid out for it.
struct Puppet final : Module {
  struct Strings {
    std::vector<Input> inputs;
    std::vector<Effect> next;  // The effects of the next step that finds any.
    Time deadline = Time::max();
    Capabilities capabilities{.snapshots = true};
  };
  explicit Puppet(Strings& s) : strings(s) {}
  Capabilities capabilities() const override { return strings.capabilities; }
  void step(Time, const Input& input, std::vector<Effect>& effects) override {
    strings.inputs.push_back(input);
    effects = std::exchange(strings.next, {});
    if (std::holds_alternative<in::Timer>(input)) strings.deadline = Time::max();
  }
  Time next_deadline() const override { return strings.deadline; }
  Status status() const override { return {"puppet", {}, {}, {}, {}, {}}; }
  std::uint64_t digest() const override { return strings.inputs.size(); }
  void check_invariants() const override {}
  Strings& strings;
};

Entry entry(std::int64_t epoch, std::int64_t index) {
  return {{Epoch{epoch}, LogIndex{index}}, EntryKind::data, std::make_shared<const Bytes>(3)};
}
HardState voted(std::int64_t epoch) {
  return {Epoch{epoch}, Epoch{epoch}, {}, {}};
}

struct Peer final : runtime::TransportHandler {
  void on_message(NodeId, runtime::LinkEpoch, runtime::Channel, Bytes bytes) override {
    kinds.push_back(decode(bytes)->kind);
  }
  void on_link_up(NodeId, runtime::LinkEpoch) override {}
  void on_link_down(NodeId, runtime::LinkEpoch) override {}
  std::vector<std::uint16_t> kinds;
};

// Node 1 runs the driver; node 2 notes the kinds of the messages that come.
struct Stage : runtime::TransportHandler {
  Stage() : world(1) {
    engine = std::move(*storage::make_engine("buffered", world.node(one)));
    const auto listen = runtime::Endpoint{"localhost", 9192};
    const auto there = runtime::Endpoint{"node-2", 9192};
    start({two, "group", listen, {}}, peer);
    start({one, "group", listen, {{two, there}}}, *this);
  }
  ~Stage() override {
    if (driver) run(world, one, driver->stop());
  }
  void start(runtime::TransportIdentity identity, runtime::TransportHandler& handler) {
    const NodeId id = identity.node;
    BOOST_REQUIRE(run(world, id, world.node(id).transport().start(identity, handler, nullptr)));
  }
  Result<void> open(DriverOptions options) {
    options.directory = "metadata";
    ModuleFactory factory = [this](ModuleContext) { return std::make_unique<Puppet>(strings); };
    auto opened = run(world, one,
                      Driver::open(world.node(one), *engine, machine, factory, std::move(options)));
    if (!opened) return fail(opened.error());
    driver = std::move(*opened);
    driver->start([this](Error why) { fatal.push_back(why); });
    return {};
  }
  Result<void> open(std::int64_t directory = 1) {
    DriverOptions options;
    options.self = {one, Uuid{1, static_cast<std::uint64_t>(directory)}};
    return open(std::move(options));
  }
  // Steps the module once, so that it takes its strings.
  void act(std::vector<Effect> effects) {
    strings.next = std::move(effects);
    driver->resign(Epoch{0});
  }
  void close() {
    run(world, one, driver->stop());
    driver.reset();
  }
  Effect send(std::uint16_t kind, std::uint64_t after) {
    return out::Send{two, std::make_shared<Message>(Message{kind, Epoch{1}, {}, {}}),
                     WriteSeq{after}};
  }
  template <class T>
  std::size_t count() const {
    std::size_t n = 0;
    for (const Input& input : strings.inputs) n += std::holds_alternative<T>(input) ? 1 : 0;
    return n;
  }

  void on_message(NodeId from, runtime::LinkEpoch link, runtime::Channel, Bytes bytes) override {
    driver->receive(from, link, std::move(bytes));
  }
  void on_link_up(NodeId id, runtime::LinkEpoch link) override {
    links[id] = link;
    if (driver) driver->link_up(id, link);
  }
  void on_link_down(NodeId id, runtime::LinkEpoch link) override {
    if (driver) driver->link_down(id, link);
  }
  // The driver learns of the links that came up before it was there.
  void tell_links() {
    world.run_for(seconds(1));
    for (const auto& [id, link] : links) driver->link_up(id, link);
  }

  runtime::SimulatedWorld world;
  Peer peer;
  Recorder machine;
  Puppet::Strings strings;
  std::unique_ptr<storage::Engine> engine;
  std::unique_ptr<Driver> driver;
  std::map<NodeId, runtime::LinkEpoch> links;
  std::vector<Error> fatal;
};

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

DriverOptions options_with_images() {
  DriverOptions options;
  options.self = {one, Uuid{1, 1}};
  options.config.members = {Member{one}};
  options.snapshot_interval_bytes = 10;
  options.snapshot_keep_entries = 2;
  options.log_file_bytes = 100;
  return options;
}

BOOST_AUTO_TEST_CASE(an_image_stands_for_the_log_that_it_covers) {
  BOOST_REQUIRE(open(options_with_images()));
  act({out::SaveHardState{WriteSeq{1}, voted(1)}});
  for (std::int64_t i = 1; i <= 20; ++i) {
    act({out::Append{WriteSeq{static_cast<std::uint64_t>(i) + 1}, {entry(1, i)}},
         out::Commit{LogIndex{i}, WriteSeq{static_cast<std::uint64_t>(i) + 1}}});
    world.run_for(seconds(1));
  }
  BOOST_TEST(driver->snapshot().last.index == LogIndex{20});
  BOOST_TEST(count<in::SnapshotTaken>() > 2u);
  auto& disk = world.node(one).disk();
  BOOST_TEST(!*disk.exists("metadata/log-00000000000000000001"));
  close();
  machine = Recorder{};
  BOOST_REQUIRE(open(options_with_images()));
  BOOST_TEST(machine.applied.size() == 20u);
  BOOST_TEST(driver->applied() == LogIndex{20});
}

BOOST_AUTO_TEST_CASE(the_log_of_a_module_that_sends_no_images_is_kept_whole) {
  strings.capabilities = {};
  BOOST_REQUIRE(open(options_with_images()));
  act({out::SaveHardState{WriteSeq{1}, voted(1)}});
  for (std::int64_t i = 1; i <= 20; ++i) {
    act({out::Append{WriteSeq{static_cast<std::uint64_t>(i) + 1}, {entry(1, i)}},
         out::Commit{LogIndex{i}, WriteSeq{static_cast<std::uint64_t>(i) + 1}}});
    world.run_for(seconds(1));
  }
  BOOST_TEST(driver->snapshot().last.index == LogIndex{0});
  BOOST_TEST(*world.node(one).disk().exists("metadata/log-00000000000000000001"));
}

BOOST_AUTO_TEST_CASE(a_leaders_image_takes_the_place_of_what_is_here) {
  BOOST_REQUIRE(open(options_with_images()));
  // What the image has: eight entries of another history.
  Recorder leader;
  std::vector<Entry> entries;
  for (std::int64_t i = 1; i <= 8; ++i) entries.push_back(entry(2, i));
  leader.apply(entries);
  const auto image = std::make_shared<const Bytes>(leader.snapshot()->next(SIZE_MAX));
  const auto half = static_cast<std::ptrdiff_t>(image->size() / 2);
  const auto first = std::make_shared<const Bytes>(image->begin(), image->begin() + half);
  const auto second = std::make_shared<const Bytes>(image->begin() + half, image->end());
  SnapshotMeta meta{entries.back().id, options_with_images().config, image->size()};

  act({out::SaveHardState{WriteSeq{1}, voted(2)},
       out::Append{WriteSeq{2}, {entry(1, 1), entry(1, 2)}},
       out::Commit{LogIndex{1}, WriteSeq{2}}});
  world.run_for(seconds(1));
  act({out::StoreSnapshot{WriteSeq{3}, meta, 0, first},
       out::StoreSnapshot{WriteSeq{4}, meta, first->size(), second},
       out::InstallSnapshot{WriteSeq{5}, meta}, out::Append{WriteSeq{6}, {entry(2, 9)}},
       out::Commit{LogIndex{9}, WriteSeq{6}}});
  world.run_for(seconds(1));
  BOOST_TEST(fatal.empty());
  BOOST_TEST(count<in::SnapshotInstalled>() == 1u);
  BOOST_REQUIRE(machine.applied.size() == 9u);
  BOOST_TEST((machine.applied[0].id.epoch == Epoch{2}));
  BOOST_TEST(driver->applied() == LogIndex{9});
  close();
  machine = Recorder{};
  BOOST_REQUIRE(open(options_with_images()));
  BOOST_TEST(machine.applied.size() >= 8u);
}

BOOST_AUTO_TEST_CASE(pieces_of_an_image_are_read_in_the_order_asked_for) {
  BOOST_REQUIRE(open(options_with_images()));
  act({out::SaveHardState{WriteSeq{1}, voted(1)},
       out::Append{WriteSeq{2}, {entry(1, 1), entry(1, 2), entry(1, 3), entry(1, 4)}},
       out::Commit{LogIndex{4}, WriteSeq{2}}});
  world.run_for(seconds(1));
  const LogId last = driver->snapshot().last;
  BOOST_REQUIRE(last.index == LogIndex{4});
  act({out::ReadSnapshot{two, last, 0, 7}, out::ReadSnapshot{two, last, 7, 1000},
       out::ReadSnapshot{two, {Epoch{1}, LogIndex{3}}, 0, 7}});
  world.run_for(seconds(1));
  std::vector<std::size_t> sizes;
  for (const Input& input : strings.inputs) {
    const auto* chunk = std::get_if<in::SnapshotChunk>(&input);
    if (chunk != nullptr) sizes.push_back(chunk->bytes ? chunk->bytes->size() : SIZE_MAX);
  }
  const std::size_t size = driver->snapshot().size;
  BOOST_TEST((sizes == std::vector<std::size_t>{7, size - 7, SIZE_MAX}));
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
