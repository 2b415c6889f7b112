#pragma once
// A driver by itself: over a module that does as it is told.

#include <map>

#include <boost/test/unit_test.hpp>

#include "consensus/driver.h"
#include "consensus/group_test.h"
#include "consensus/message.h"

namespace qlab::consensus {

inline constexpr NodeId one{1};
inline constexpr NodeId two{2};

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

inline Entry entry(std::int64_t epoch, std::int64_t index) {
  return {{Epoch{epoch}, LogIndex{index}}, EntryKind::data, std::make_shared<const Bytes>(3)};
}
inline HardState voted(std::int64_t epoch) {
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
  // These entries, of three bytes each and committed as they are written: one a second.
  // Requires: nothing was written in this life.
  void commit(std::int64_t first, std::int64_t last) {
    act({out::SaveHardState{WriteSeq{1}, voted(1)}});
    for (std::int64_t i = first; i <= last; ++i) {
      const WriteSeq seq{static_cast<std::uint64_t>(i - first) + 2};
      act({out::Append{seq, {entry(1, i)}}, out::Commit{LogIndex{i}, seq}});
      world.run_for(std::chrono::seconds(1));
    }
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
    world.run_for(std::chrono::seconds(1));
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

inline DriverOptions options_with_images() {
  DriverOptions options;
  options.self = {one, Uuid{1, 1}};
  options.config.members = {Member{one}};
  options.snapshot_interval_bytes = 10;
  options.snapshot_keep_entries = 2;
  options.log_file_bytes = 100;
  return options;
}

}  // namespace qlab::consensus
