// qlab-keeper: one server of a keeper as a process; see --help.

#include <filesystem>
#include <iostream>

#include "consensus/node/unsynced_engine.h"
#include "keeper/node/options.h"
#include "keeper/server.h"
#include "runtime/real/directory_lock.h"
#include "runtime/real/real_runtime.h"
#include "sim/modules.h"

namespace qlab::keeper::node {
namespace {

constexpr int exit_refused = 2;  // The flags or the start.
constexpr int exit_fatal = 3;    // The server could not go on.

int refuse(const Error& error) {
  std::cerr << fmt::format("qlab-keeper: {}\n", error.context) << std::flush;
  return exit_refused;
}

// Everything between start() and stop().
class Node final : public runtime::TransportHandler {
 public:
  Node(runtime::Runtime& runtime, NodeOptions options)
      : runtime_(runtime), options_(std::move(options)) {}

  Task<Result<void>> start(std::function<void(Error)> on_fatal) {
    CO_TRY(engine_, make_engine());
    CO_TRY_VOID(co_await engine_->start());
    CO_TRY(auto factory, sim::find_module(options_.consensus.module));
    CO_TRY(driver_, co_await consensus::Driver::open(runtime_, *engine_, machine_,
                                                     std::move(factory), driver_options()));
    CO_TRY(auto listener, co_await runtime_.network().listen(options_.consensus.client));
    client_ = listener->local();
    server_ = std::make_unique<Server>(runtime_, *driver_, machine_, options_.keeper);
    server_->start(std::move(listener), on_fatal);
    driver_->start(on_fatal);
    runtime::TransportIdentity identity;
    identity.node = options_.consensus.id;
    identity.cluster_id = options_.consensus.cluster_id;
    identity.listen = options_.consensus.voters.at(options_.consensus.id);
    identity.peers = options_.consensus.voters;
    identity.peers.erase(options_.consensus.id);
    CO_TRY_VOID(co_await runtime_.transport().start(std::move(identity), *this, no_calls));
    transport_started_ = true;
    co_return Result<void>{};
  }

  Task<void> stop() {
    if (driver_ != nullptr) co_await driver_->stop();
    if (server_ != nullptr) co_await server_->stop();
    if (transport_started_) co_await runtime_.transport().stop();
    if (engine_ != nullptr) co_await engine_->stop();
  }

  std::string ready_line() const {
    return fmt::format("ready id={} client={} peer={}\n", options_.consensus.id,
                       client_.to_string(), runtime_.transport().bound().to_string());
  }

  void on_message(NodeId from, runtime::LinkEpoch link, runtime::Channel channel,
                  Bytes payload) override {
    if (channel == runtime::Channel::keeper) return server_->on_message(from, std::move(payload));
    driver_->receive(from, link, std::move(payload));
  }
  void on_link_up(NodeId peer, runtime::LinkEpoch link) override { driver_->link_up(peer, link); }
  void on_link_down(NodeId peer, runtime::LinkEpoch link) override {
    driver_->link_down(peer, link);
    server_->on_link_down(peer);
  }

 private:
  static Task<Result<std::string>> no_calls(std::string method, std::string) {
    co_return fail(Errc::unsupported, "there is no call {}", method);
  }

  Result<std::unique_ptr<storage::Engine>> make_engine() {
    storage::EngineOptions engine;
    TRY(engine.preallocation, storage::parse_preallocation(options_.consensus.preallocation));
    TRY(auto made, storage::make_engine(options_.consensus.engine, runtime_, std::move(engine)));
    return options_.consensus.durable ? std::move(made)
                                      : consensus::node::make_unsynced(std::move(made));
  }

  consensus::DriverOptions driver_options() const {
    const consensus::node::NodeOptions& given = options_.consensus;
    consensus::DriverOptions driver;
    // Its directory is never swapped under it: the id is identity enough.
    driver.self = {given.id, DirectoryId(Uuid{1, static_cast<std::uint64_t>(given.id.value())})};
    for (const auto& [id, endpoint] : given.voters) {
      const bool observes = options_.observers.contains(id);
      driver.config.members.push_back(
          {id, observes ? consensus::MemberRole::observer : consensus::MemberRole::voter});
    }
    driver.tuning = consensus::node::tuning_of(given);
    driver.directory = "log";
    driver.snapshots_grow = true;
    driver.snapshot_interval_bytes = static_cast<std::uint64_t>(given.snapshot_mib) << 20;
    driver.trace = {.details = given.trace_details,
                    .entries_every = static_cast<std::uint32_t>(given.trace_entries_every),
                    .describe = *sim::find_words(given.module)};
    driver.linger = std::chrono::microseconds(given.linger_us);
    return driver;
  }

  runtime::Runtime& runtime_;
  const NodeOptions options_;
  Machine machine_;
  std::unique_ptr<storage::Engine> engine_;
  std::unique_ptr<consensus::Driver> driver_;
  std::unique_ptr<Server> server_;
  runtime::Endpoint client_;
  bool transport_started_ = false;
};

// The whole life of a server. Sets the exit status.
Task<void> live(runtime::RealShards& shards, NodeOptions options, int& status) {
  Node node(shards.shard(0), std::move(options));
  const auto on_fatal = [&](const Error& error) {
    log(LogLevel::error, "keeper", "{}; it cannot go on", error.message());
    status = exit_fatal;
    shards.end_signal_wait();
  };
  const auto started = co_await node.start(on_fatal);
  if (!started) {
    if (status == 0) status = refuse(started.error());
  } else if (status == 0) {
    std::cout << node.ready_line() << std::flush;
    static_cast<void>(co_await shards.wait_for_signal());
  }
  co_await node.stop();
}

int run(const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    if (word != "--help" && word != "-h") continue;
    std::cout << help();
    return 0;
  }
  const auto options = parse_options(words);
  if (!options) return refuse(options.error());
  const consensus::node::NodeOptions& given = options->consensus;
  set_log_level(given.log_level);
  runtime::RealOptions real;
  real.root = given.directory;
  real.node = given.id;
  real.transport = given.transport;
  if (given.seed != 0) real.seed = static_cast<std::uint64_t>(given.seed);
  std::error_code error;
  std::filesystem::create_directories(real.root, error);
  if (error) {
    return refuse({Errc::io, fmt::format("--dir={}: {}", given.directory, error.message())});
  }
  const auto lock = runtime::lock_directory(real.root);
  if (!lock) return refuse(lock.error());
  real.trace_file = given.trace_file;
  auto shards = runtime::RealShards::create(real);
  if (!shards) return refuse(shards.error());
  int status = 0;
  (*shards)->run([&] { return live(**shards, *options, status); });
  return status;
}

}  // namespace
}  // namespace qlab::keeper::node

int main(int argc, char** argv) {
  return qlab::keeper::node::run({argv + 1, argv + argc});
}
