// qlab-consensus-node: one replica of a consensus group as a process; see --help.

#include <filesystem>
#include <iostream>

#include "consensus/node/client_port.h"
#include "consensus/node/options.h"
#include "consensus/node/unsynced_engine.h"
#include "runtime/real/directory_lock.h"
#include "runtime/real/real_runtime.h"
#include "sim/modules.h"

namespace qlab::consensus::node {
namespace {

constexpr int exit_refused = 2;  // The flags or the start.
constexpr int exit_fatal = 3;    // The node could not go on.

int refuse(const Error& error) {
  std::cerr << fmt::format("qlab-consensus-node: {}\n", error.context) << std::flush;
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
    CO_TRY(auto factory, sim::find_module(options_.module));
    CO_TRY(driver_, co_await Driver::open(runtime_, *engine_, machine_, std::move(factory),
                                          driver_options()));
    driver_->start(std::move(on_fatal));
    runtime::TransportIdentity identity;
    identity.node = options_.id;
    identity.cluster_id = options_.cluster_id;
    identity.listen = options_.voters.at(options_.id);
    identity.peers = options_.voters;
    identity.peers.erase(options_.id);
    CO_TRY_VOID(co_await runtime_.transport().start(std::move(identity), *this, no_calls));
    transport_started_ = true;
    CO_TRY(auto listener, co_await runtime_.network().listen(options_.client));
    client_ = listener->local();
    port_ = std::make_unique<ClientPort>(runtime_, *driver_, machine_);
    port_->start(std::move(listener));
    co_return Result<void>{};
  }

  Task<void> stop() {
    if (driver_ != nullptr) co_await driver_->stop();
    if (port_ != nullptr) co_await port_->stop();
    if (transport_started_) co_await runtime_.transport().stop();
    if (engine_ != nullptr) co_await engine_->stop();
  }

  std::string ready_line() const {
    return fmt::format("ready id={} client={} peer={}\n", options_.id, client_.to_string(),
                       runtime_.transport().bound().to_string());
  }

  void on_message(NodeId from, runtime::LinkEpoch link, runtime::Channel, Bytes payload) override {
    driver_->receive(from, link, std::move(payload));
  }
  void on_link_up(NodeId peer, runtime::LinkEpoch link) override { driver_->link_up(peer, link); }
  void on_link_down(NodeId peer, runtime::LinkEpoch link) override {
    driver_->link_down(peer, link);
  }

 private:
  static Task<Result<std::string>> no_calls(std::string method, std::string) {
    co_return fail(Errc::unsupported, "there is no call {}", method);
  }

  Result<std::unique_ptr<storage::Engine>> make_engine() {
    storage::EngineOptions engine;
    TRY(engine.preallocation, storage::parse_preallocation(options_.preallocation));
    TRY(auto made, storage::make_engine(options_.engine, runtime_, std::move(engine)));
    return options_.durable ? std::move(made) : make_unsynced(std::move(made));
  }

  DriverOptions driver_options() const {
    DriverOptions driver;
    // Its directory is never swapped under it: the id is identity enough.
    const auto id = static_cast<std::uint64_t>(options_.id.value());
    driver.self = {options_.id, DirectoryId(Uuid{1, id})};
    for (const auto& [voter, endpoint] : options_.voters) {
      driver.config.members.push_back({voter, MemberRole::voter});
    }
    driver.tuning = tuning_of(options_);
    driver.directory = "log";
    driver.snapshot_interval_bytes = static_cast<std::uint64_t>(options_.snapshot_mib) << 20;
    driver.trace = {.details = options_.trace_details,
                    .entries_every = static_cast<std::uint32_t>(options_.trace_entries_every),
                    .describe = *sim::find_words(options_.module)};
    driver.linger = std::chrono::microseconds(options_.linger_us);
    return driver;
  }

  runtime::Runtime& runtime_;
  const NodeOptions options_;
  Register machine_;
  std::unique_ptr<storage::Engine> engine_;
  std::unique_ptr<Driver> driver_;
  std::unique_ptr<ClientPort> port_;
  runtime::Endpoint client_;
  bool transport_started_ = false;
};

// The whole life of a node. Sets the exit status.
Task<void> live(runtime::RealShards& shards, NodeOptions options, int& status) {
  Node node(shards.shard(0), std::move(options));
  const auto on_fatal = [&](const Error& error) {
    log(LogLevel::error, "consensus node", "{}; it cannot go on", error.message());
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
  set_log_level(options->log_level);
  runtime::RealOptions real;
  real.root = options->directory;
  real.node = options->id;
  real.transport = options->transport;
  if (options->seed != 0) real.seed = static_cast<std::uint64_t>(options->seed);
  std::error_code error;
  std::filesystem::create_directories(real.root, error);
  if (error) {
    return refuse({Errc::io, fmt::format("--dir={}: {}", options->directory, error.message())});
  }
  const auto lock = runtime::lock_directory(real.root);
  if (!lock) return refuse(lock.error());
  real.trace_file = options->trace_file;
  auto shards = runtime::RealShards::create(real);
  if (!shards) return refuse(shards.error());
  int status = 0;
  (*shards)->run([&] { return live(**shards, *options, status); });
  return status;
}

}  // namespace
}  // namespace qlab::consensus::node

int main(int argc, char** argv) {
  return qlab::consensus::node::run({argv + 1, argv + argc});
}
