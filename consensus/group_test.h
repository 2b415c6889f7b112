#pragma once
// A consensus group in the simulated world: drivers, stores and transport as they are in a node.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/check.h"
#include "consensus/driver.h"
#include "runtime/async.h"
#include "runtime/simulated/run.h"

namespace qlab::consensus {

// Writes down what it is told, and CHECKs the order that state_machine.h promises.
struct Recorder final : StateMachine {
  void apply(const std::vector<Entry>& entries) override {
    for (const Entry& entry : entries) {
      CHECK(entry.id.index.value() == static_cast<std::int64_t>(applied.size()) + 1);
      CHECK(!active || entry.id.epoch == *active);  // Whoever decides sees nobody else's entries.
      applied.push_back(entry);
    }
  }
  void activate(Epoch epoch) override {
    CHECK(!active.has_value());
    CHECK(activations.empty() || activations.back() < epoch);
    active = epoch;
    activations.push_back(epoch);
    applied_at_activation = applied.size();
    if (on_activated) on_activated(applied_at_activation);
  }
  void deactivate(Epoch epoch) override {
    CHECK(active == epoch);
    active.reset();
  }
  void on_leader_known(Epoch epoch, std::optional<NodeId> known) override {
    CHECK(epoch >= leader_epoch);
    leader_epoch = epoch;
    leader = known;
  }

  // Its image is everything it was ever given.
  struct Image final : SnapshotSource {
    Bytes next(std::size_t bytes_max) override {
      const std::size_t count = std::min(bytes_max, bytes.size() - at);
      at += count;
      const auto end = bytes.begin() + static_cast<std::ptrdiff_t>(at);
      return Bytes(end - static_cast<std::ptrdiff_t>(count), end);
    }
    Bytes bytes;
    std::size_t at = 0;
  };
  std::unique_ptr<SnapshotSource> snapshot() override {
    BytesWriter out;
    for (const Entry& entry : applied) {
      out.put(entry.id.epoch.value());
      out.put(entry.id.index.value());
      out.put(static_cast<std::uint8_t>(entry.kind));
      out.put(static_cast<std::uint32_t>(entry.body->size()));
      out.put_bytes(*entry.body);
    }
    auto image = std::make_unique<Image>();
    image->bytes = out.take();
    return image;
  }
  void begin_restore(LogId last) override {
    CHECK(!active.has_value());
    applied.clear();
    received.clear();
    restoring = last;
  }
  Result<void> restore_piece(ByteView piece) override {
    received.insert(received.end(), piece.begin(), piece.end());
    return {};
  }
  Result<void> restored() override {
    BytesReader in(received);
    while (in.ok() && in.left() > 0) {
      Entry entry;
      entry.id.epoch = Epoch{in.get<std::int64_t>()};
      entry.id.index = LogIndex{in.get<std::int64_t>()};
      entry.kind = static_cast<EntryKind>(in.get<std::uint8_t>());
      const ByteView body = in.get_bytes(in.get<std::uint32_t>());
      entry.body = std::make_shared<const Bytes>(body.begin(), body.end());
      applied.push_back(std::move(entry));
    }
    TRY_VOID(in.status());
    CHECK(!applied.empty());
    CHECK(applied.back().id == restoring);
    return {};
  }

  std::vector<Entry> applied;
  Bytes received;
  LogId restoring;
  std::optional<Epoch> active;
  std::vector<Epoch> activations;
  std::size_t applied_at_activation = 0;
  std::function<void(std::size_t applied)> on_activated;
  Epoch leader_epoch;
  std::optional<NodeId> leader;
};

struct GroupOptions {
  ModuleFactory factory;
  int voters = 3;
  Tuning tuning{.election_timeout = std::chrono::milliseconds(300),
                .heartbeat_interval = std::chrono::milliseconds(60)};
  Duration linger{};
  std::string engine = "buffered";
  int spares = 0;  // Nodes behind the voters that the configuration does not name.
  std::uint64_t snapshot_interval_bytes = 0;
  std::uint64_t snapshot_keep_entries = 1000;
  std::uint64_t log_file_bytes = 64u << 20;
  bool name_disks = false;                // The configuration says which disk a member is on.
  std::map<NodeId, std::uint64_t> disks;  // The number of each node's disk, where it is not 1.
  runtime::WorldOptions world;
  // What is delivered, before the driver sees it.
  std::function<void(NodeId from, NodeId to, runtime::LinkEpoch link, ByteView bytes)> on_message;

  ReplicaKey key_of(NodeId id) const {
    const auto disk = disks.find(id);
    const std::uint64_t number = disk == disks.end() ? 1 : disk->second;
    return {id, Uuid{number, static_cast<std::uint64_t>(id.value())}};
  }
  // A member of the configuration.
  Member member(NodeId id, MemberRole role = MemberRole::voter) const {
    Member made{id, role};
    if (name_disks) made.directory = key_of(id).directory;
    return made;
  }
};

// What became of the proposals that a group was asked for: body -> fate.
using Fates = std::map<std::string, ProposeResult>;

// The program of one node, for one life.
class GroupNode final : public runtime::TransportHandler {
 public:
  GroupNode(runtime::Runtime& runtime, NodeId id, const GroupOptions& options)
      : runtime_(runtime), id_(id), options_(options), gate_(runtime) {
    gate_.start([this] { return open(); });
  }

  // Proposes `body` in the background; its fate shows up in `fates`, unless the node dies first.
  void propose(std::string body, std::optional<Epoch> expect, Fates& fates) {
    gate_.start([this, body, expect, &fates] { return propose_one(body, expect, fates); });
  }
  NodeId id() const { return id_; }
  bool is_open() const { return driver != nullptr; }
  // One per disk: a node with another one finds nothing.
  std::string directory() const {
    const std::uint64_t disk = options_.key_of(id_).directory.high;
    return disk == 1 ? "metadata" : fmt::format("metadata-{}", disk);
  }

  void on_message(NodeId from, runtime::LinkEpoch link, runtime::Channel, Bytes bytes) override {
    if (options_.on_message) options_.on_message(from, id_, link, bytes);
    driver->receive(from, link, std::move(bytes));
  }
  void on_link_up(NodeId peer, runtime::LinkEpoch link) override { driver->link_up(peer, link); }
  void on_link_down(NodeId peer, runtime::LinkEpoch link) override {
    driver->link_down(peer, link);
  }

  Recorder machine;
  std::unique_ptr<Driver> driver;
  std::optional<Error> failed;  // At open, or fatal later.

 private:
  Task<void> open() {
    auto made = storage::make_engine(options_.engine, runtime_);
    CHECK(made.has_value());
    engine_ = std::move(*made);
    DriverOptions options{.self = options_.key_of(id_),
                          .config = {},
                          .tuning = options_.tuning,
                          .directory = directory(),
                          .snapshot_interval_bytes = options_.snapshot_interval_bytes,
                          .snapshot_keep_entries = options_.snapshot_keep_entries,
                          .log_file_bytes = options_.log_file_bytes,
                          .linger = options_.linger};
    runtime::TransportIdentity identity{id_, "group", {"localhost", 9192}, {}};
    for (int i = 1; i <= options_.voters + options_.spares; ++i) {
      if (i <= options_.voters) options.config.members.push_back(options_.member(NodeId{i}));
      if (NodeId{i} != id_) identity.peers[NodeId{i}] = {fmt::format("node-{}", i), 9192};
    }
    auto opened = co_await Driver::open(runtime_, *engine_, machine, options_.factory, options);
    if (!opened) {
      failed = opened.error();
      co_return;
    }
    driver = std::move(*opened);
    driver->start([this](Error error) { failed = std::move(error); });
    const auto started = co_await runtime_.transport().start(identity, *this, nullptr);
    CHECK(started.has_value());
  }

  Task<void> propose_one(std::string body, std::optional<Epoch> expect, Fates& fates) {
    const ByteView bytes = as_view(body);
    std::vector<Bytes> bodies;
    bodies.emplace_back(bytes.begin(), bytes.end());
    const ProposeResult result = co_await driver->propose(std::move(bodies), expect);
    fates[body] = result;
  }

  runtime::Runtime& runtime_;
  NodeId id_;
  const GroupOptions& options_;
  std::unique_ptr<storage::Engine> engine_;
  runtime::Gate gate_;
};

class Group {
 public:
  Group(std::uint64_t seed, GroupOptions options)
      : world(seed, options.world), options_(std::move(options)) {
    for (const NodeId id : all_ids()) boot(id);
  }

  void boot(NodeId id) {
    world.boot(id, [this, id](runtime::Runtime& runtime) {
      auto node = std::make_shared<GroupNode>(runtime, id, options_);
      node->machine.on_activated = [this](std::size_t applied) {
        if (on_activated) on_activated(applied);
      };
      nodes_[id] = node;
      return node;
    });
  }
  void crash(NodeId id, runtime::CrashOptions how = {}) { world.crash(id, how); }

  // Null while it is down or opens its log.
  std::shared_ptr<GroupNode> node(NodeId id) const {
    const auto at = nodes_.find(id);
    auto found = at == nodes_.end() ? nullptr : at->second.lock();
    return found && found->is_open() ? found : nullptr;
  }
  // Also one that failed to open.
  std::shared_ptr<GroupNode> program(NodeId id) const { return nodes_.at(id).lock(); }
  // The voters that it began with.
  std::vector<NodeId> ids() const { return ids_up_to(options_.voters); }
  std::vector<NodeId> all_ids() const { return ids_up_to(options_.voters + options_.spares); }
  // The node that is active in the latest epoch; null: none is.
  std::shared_ptr<GroupNode> leader() const {
    std::shared_ptr<GroupNode> found;
    for (const NodeId id : all_ids()) {
      const auto one = node(id);
      if (!one || !one->machine.active) continue;
      if (!found || *one->machine.active > *found->machine.active) found = one;
    }
    return found;
  }
  bool elect() {
    return world.run_until([this] { return leader() != nullptr; }, std::chrono::seconds(60))
        .has_value();
  }
  // All voters are up and have applied the same, and `count` entries at least.
  bool agree(std::size_t count) const { return agree(count, ids()); }
  bool agree(std::size_t count, const std::vector<NodeId>& nodes) const {
    for (const NodeId id : nodes) {
      const auto one = node(id);
      if (!one || one->machine.applied.size() < count) return false;
      if (one->machine.applied.size() != node(nodes[0])->machine.applied.size()) return false;
    }
    return true;
  }
  ProposeResult propose(const std::shared_ptr<GroupNode>& at, std::string body,
                        std::optional<Epoch> expect = std::nullopt) {
    at->propose(body, expect, fates);
    const auto done =
        world.run_until([&] { return fates.contains(body); }, std::chrono::seconds(60));
    CHECK_MSG(done.has_value(), done.error().message());
    return fates.at(body);
  }

  // From now on the node has another disk, which is empty. Requires: it is down.
  void wipe(NodeId id) { options_.disks[id] = options_.key_of(id).directory.high + 1; }
  const GroupOptions& options() const { return options_; }

  runtime::SimulatedWorld world;
  Fates fates;
  std::function<void(std::size_t applied)> on_activated;  // Any node.

 private:
  static std::vector<NodeId> ids_up_to(int count) {
    std::vector<NodeId> all;
    for (int i = 1; i <= count; ++i) all.push_back(NodeId{i});
    return all;
  }

  GroupOptions options_;
  std::map<NodeId, std::weak_ptr<GroupNode>> nodes_;
};

}  // namespace qlab::consensus
