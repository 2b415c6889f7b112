#pragma once
// An ensemble of keepers and its clients in the simulated world.

#include <map>
#include <memory>

#include "keeper/client.h"
#include "keeper/server.h"
#include "keeper/test_tools.h"
#include "runtime/simulated/run.h"
#include "sim/modules.h"

namespace qlab::keeper {

struct EnsembleOptions {
  std::string module = "zab";
  int servers = 3;
  bool quorum_sync = false;
  std::uint64_t snapshot_interval_bytes = 0;
  std::uint64_t snapshot_keep_entries = 10;
  Duration tick = std::chrono::milliseconds(200);
};

// One server, for one life.
class ServerProgram final : public runtime::TransportHandler {
 public:
  ServerProgram(runtime::Runtime& runtime, NodeId id, const EnsembleOptions& options)
      : runtime_(runtime), id_(id), options_(options), gate_(runtime) {
    gate_.start([this] { return open(); });
  }

  void on_message(NodeId from, runtime::LinkEpoch link, runtime::Channel channel,
                  Bytes payload) override {
    if (channel == runtime::Channel::keeper) return server->on_message(from, std::move(payload));
    driver->receive(from, link, std::move(payload));
  }
  void on_link_up(NodeId peer, runtime::LinkEpoch link) override { driver->link_up(peer, link); }
  void on_link_down(NodeId peer, runtime::LinkEpoch link) override {
    driver->link_down(peer, link);
    server->on_link_down(peer);
  }
  bool is_open() const { return open_; }

 private:
  Task<void> open() {
    auto made = storage::make_engine("buffered", runtime_);
    CHECK(made.has_value());
    engine_ = std::move(*made);
    consensus::DriverOptions driver_options;
    driver_options.self = {id_, Uuid{1, static_cast<std::uint64_t>(id_.value())}};
    driver_options.directory = "log";
    driver_options.tuning.election_timeout = std::chrono::milliseconds(300);
    driver_options.tuning.heartbeat_interval = std::chrono::milliseconds(60);
    driver_options.snapshot_interval_bytes = options_.snapshot_interval_bytes;
    driver_options.snapshots_grow = true;
    driver_options.snapshot_keep_entries = options_.snapshot_keep_entries;
    runtime::TransportIdentity identity{id_, "keeper", {"localhost", 2888}, {}};
    for (int i = 1; i <= options_.servers; ++i) {
      driver_options.config.members.push_back({NodeId{i}});
      if (NodeId{i} != id_) identity.peers[NodeId{i}] = {fmt::format("node-{}", i), 2888};
    }
    auto factory = sim::find_module(options_.module);
    auto opened = co_await consensus::Driver::open(runtime_, *engine_, machine, *factory,
                                                   std::move(driver_options));
    CHECK_MSG(opened.has_value(), opened.error().message());
    driver = std::move(*opened);
    Options server_options;
    server_options.id = id_;
    server_options.tick = options_.tick;
    server_options.quorum_sync = options_.quorum_sync;
    server_options.container_interval = std::chrono::seconds(1);
    server = std::make_unique<Server>(runtime_, *driver, machine, server_options);
    const runtime::Endpoint endpoint{"localhost", 2181};
    auto listener = co_await runtime_.network().listen(endpoint);
    CHECK(listener.has_value());
    const auto on_fatal = [](const Error& error) { CHECK_MSG(false, error.message()); };
    server->start(std::move(*listener), on_fatal);
    driver->start(on_fatal);
    const auto started = co_await runtime_.transport().start(identity, *this, nullptr);
    CHECK(started.has_value());
    open_ = true;
  }

  runtime::Runtime& runtime_;
  const NodeId id_;
  const EnsembleOptions& options_;
  bool open_ = false;
  std::unique_ptr<storage::Engine> engine_;

 public:
  Machine machine;
  std::unique_ptr<consensus::Driver> driver;
  std::unique_ptr<Server> server;

 private:
  runtime::Gate gate_;
};

// One client, on a node of its own. What it is told is in the order in which it was told.
class ClientProgram final {
 public:
  ClientProgram(runtime::Runtime& runtime, std::vector<NodeId> servers, Duration timeout)
      : client(runtime, options_for(servers, timeout),
               [this](const wire::keeper::WatchEvent& event) { events.push_back(event); }),
        gate(runtime) {
    client.start();
  }

  std::vector<wire::keeper::WatchEvent> events;
  Client client;
  runtime::Gate gate;

 private:
  static ClientOptions options_for(const std::vector<NodeId>& servers, Duration timeout) {
    ClientOptions options;
    for (const NodeId id : servers) {
      options.servers.push_back({runtime::SimulatedNode::host_name(id), 2181});
    }
    options.session_timeout = timeout;
    return options;
  }
};

class Ensemble {
 public:
  Ensemble(std::uint64_t seed, EnsembleOptions options)
      : world(seed), options_(std::move(options)) {
    for (const NodeId id : ids()) boot(id);
  }

  std::vector<NodeId> ids() const {
    std::vector<NodeId> all;
    for (int i = 1; i <= options_.servers; ++i) all.push_back(NodeId{i});
    return all;
  }
  void boot(NodeId id) {
    world.boot(id, [this, id](runtime::Runtime& runtime) {
      auto program = std::make_shared<ServerProgram>(runtime, id, options_);
      servers_[id] = program;
      return program;
    });
  }
  void crash(NodeId id) { world.crash(id); }
  // Null while it is down or starts.
  std::shared_ptr<ServerProgram> server(NodeId id) const {
    const auto found = servers_.find(id);
    auto program = found == servers_.end() ? nullptr : found->second.lock();
    return program && program->is_open() ? program : nullptr;
  }
  std::optional<NodeId> leader() const {
    for (const NodeId id : ids()) {
      const auto program = server(id);
      if (program && program->server->figures().mode == "leader") return id;
    }
    return std::nullopt;
  }

  // A client of these servers, or of all.
  std::shared_ptr<ClientProgram> add_client(std::vector<NodeId> servers = {},
                                            Duration timeout = std::chrono::seconds(2)) {
    if (servers.empty()) servers = ids();
    const NodeId id{++last_client_};
    world.boot(id, [&](runtime::Runtime& runtime) {
      auto program = std::make_shared<ClientProgram>(runtime, servers, timeout);
      clients_[id] = program;
      return program;
    });
    const auto program = clients_[id].lock();
    until([&] { return program->client.is_connected(); });
    return program;
  }
  NodeId last_client() const { return NodeId{last_client_}; }

  void until(const std::function<bool()>& holds, Duration limit = std::chrono::seconds(60)) {
    const auto done = world.run_until(holds, limit);
    CHECK_MSG(done.has_value(), done.error().message());
  }

  // Asks and waits for the answer. Errors: the client's.
  Result<ClientReply> ask(const std::shared_ptr<ClientProgram>& program,
                          wire::keeper::Request request) {
    std::optional<Result<ClientReply>> answer;
    auto* const slot = &answer;
    program->gate.start(
        [program = program.get(), request, slot] { return keep(program->client, request, slot); });
    until([&] { return answer.has_value(); });
    return *answer;
  }
  ErrorCode error_of(const std::shared_ptr<ClientProgram>& program, wire::keeper::Request request) {
    const auto reply = ask(program, std::move(request));
    return reply ? reply->error : ErrorCode::connection_loss;
  }

  // All servers have applied the same, and then they have the same state, slot for slot.
  void agree() {
    until([&] {
      for (const NodeId id : ids()) {
        if (!server(id) ||
            server(id)->machine.applied_index() != server(NodeId{1})->machine.applied_index()) {
          return false;
        }
      }
      return true;
    });
    for (const NodeId id : ids()) {
      CHECK(image_of(server(id)->machine.state()) == image_of(server(NodeId{1})->machine.state()));
    }
  }

  runtime::SimulatedWorld world;

 private:
  static Task<void> keep(Client& client, wire::keeper::Request request,
                         std::optional<Result<ClientReply>>* slot) {
    auto answer = co_await client.call(std::move(request));
    slot->emplace(std::move(answer));
  }

  EnsembleOptions options_;
  std::map<NodeId, std::weak_ptr<ServerProgram>> servers_;
  std::map<NodeId, std::weak_ptr<ClientProgram>> clients_;
  int last_client_ = 100;
};

}  // namespace qlab::keeper
