#include "broker/node_host.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <ostream>

#include <boost/asio/post.hpp>
#include <control.pb.h>

#include "common/logging.h"

namespace qlab::broker {
namespace {

// Nodes do not link to their host: it takes calls, and no messages.
class Nobody final : public runtime::TransportHandler {
 public:
  void on_message(NodeId, runtime::LinkEpoch, runtime::Channel, Bytes) override {}
  void on_link_up(NodeId, runtime::LinkEpoch) override {}
  void on_link_down(NodeId, runtime::LinkEpoch) override {}
};

std::string encode_reply(int status) {
  control::NodeReply reply;
  reply.set_status(status);
  return reply.SerializeAsString();
}

// What only one node of a process can have, with its key.
std::vector<std::pair<std::string_view, std::string>> exclusives_of(const NodeConfig& config) {
  std::error_code unknown;  // Of a path that cannot be looked at: then its words have to do.
  auto directory = std::filesystem::weakly_canonical(config.log_dir, unknown);
  if (!directory.has_filename()) directory = directory.parent_path();
  std::vector<std::pair<std::string_view, std::string>> found{
      {"node.id", fmt::format("{}", config.node)},
      {"log.dir", unknown ? config.log_dir : directory.string()}};
  if (!config.trace_file.empty()) found.emplace_back("trace.file", config.trace_file);
  const auto add_port = [&found](std::string_view key, const runtime::Endpoint& endpoint) {
    if (endpoint.port != 0) found.emplace_back(key, endpoint.to_string());
  };
  add_port("peer.listener", config.peer_listener);
  if (config.is_broker) add_port("listener", config.listener);
  if (config.keeper.listener) add_port("keeper.listener", *config.keeper.listener);
  return found;
}

}  // namespace

Result<void> check_side_by_side(const std::vector<NodeConfig>& configs) {
  struct Owner {
    std::string_view key;
    NodeId node;
  };
  std::map<std::string, Owner> taken;
  for (const NodeConfig& config : configs) {
    if (config.log_level != configs.front().log_level) {
      return fail(Errc::invalid,
                  "log.level of node {} is not that of node {}; allowed: one for all nodes of a "
                  "process",
                  config.node, configs.front().node);
    }
    for (auto& [key, value] : exclusives_of(config)) {
      const auto [at, is_new] = taken.emplace(value, Owner{key, config.node});
      if (is_new) continue;
      return fail(Errc::invalid,
                  "{}={} of node {} is also the {} of node {}; allowed: a value that no other "
                  "node of the process has",
                  key, value, config.node, at->second.key, at->second.node);
    }
  }
  return {};
}

Result<NodeConfig> read_config(const std::string& file, const std::vector<Setting>& overrides) {
  std::ifstream in(file);
  if (!in) return fail(Errc::io, "--config {}: cannot be read", file);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  TRY(const auto settings, parse_properties(text, file));
  return make_config(settings, overrides);
}

NodeHost::NodeHost(HostOptions options, std::ostream& out)
    : options_(std::move(options)), out_(out), nobody_(std::make_unique<Nobody>()) {}

NodeHost::~NodeHost() = default;

int NodeHost::run() {
  runtime::RealOptions options;
  options.root = options_.configs.front().log_dir;  // It keeps nothing there.
  auto shards = runtime::RealShards::create(std::move(options));
  if (!shards) {
    log(LogLevel::error, "host", "{}", shards.error().context);
    return exit_refused;
  }
  shards_ = std::move(*shards);
  changed_ = std::make_unique<runtime::Event>(shards_->shard(0));
  shards_->run([this] { return live(); });
  return status_;
}

Task<void> NodeHost::live() {
  runtime::Gate gate(shards_->shard(0));
  gate.start([this]() -> Task<void> {
    if (stopping_) co_return;  // Nothing could start.
    const auto signal = co_await shards_->wait_for_signal();
    if (!signal) co_return;
    log(LogLevel::info, "node", "signal {}: shutting down", *signal);
    end_all();
  });
  auto started = co_await take_calls();
  for (const NodeConfig& config : options_.configs) {
    if (started && !stopping_) started = start(config);
  }
  if (!started) {
    log(LogLevel::error, "host", "{}", started.error().context);
    status_ = exit_refused;
    end_all();
  }
  const bool stays = options_.control.has_value();
  while (!is_empty() || (stays && !stopping_)) co_await changed_->wait();
  stopping_ = true;
  shards_->end_signal_wait();
  co_await gate.close();
  co_await shards_->shard(0).transport().stop();
}

Task<Result<void>> NodeHost::take_calls() {
  if (!options_.control) co_return Result<void>{};
  runtime::TransportIdentity identity;
  identity.node = no_node;
  identity.listen = *options_.control;
  const auto bound = co_await shards_->shard(0).transport().start(
      std::move(identity), *nobody_, [this](std::string method, std::string request) {
        return answer(std::move(method), std::move(request));
      });
  if (!bound) {
    co_return fail(Errc::invalid,
                   "--control {}: {}; allowed: an address of this host with a free "
                   "port",
                   options_.control->to_string(), bound.error().context);
  }
  co_return Result<void>{};
}

Result<void> NodeHost::start(NodeConfig config) {
  const NodeId id = config.node;
  HostedEvents events;
  const runtime::Executor home = shards_->shard(0).executor();
  events.on_ready = [this, home, id](const std::optional<runtime::Endpoint>& kafka,
                                     const runtime::Endpoint& peer) {
    const std::string words =
        fmt::format("kafka={} peer={}", kafka ? kafka->to_string() : "none", peer.to_string());
    boost::asio::post(home,
                      [this, id, words] { say(fmt::format("ready node.id={} {}", id, words)); });
  };
  events.on_ended = [this, home, id](int status, std::optional<Error> refusal) {
    boost::asio::post(home,
                      [this, id, status, why = std::move(refusal)] { on_ended(id, status, why); });
  };
  say(fmt::format("starting node.id={}", id));
  Hosted& hosted = nodes_[id];
  hosted.config = config;
  auto node = HostedNode::start(std::move(config), std::move(events));
  if (!node) {
    say(fmt::format("ended node.id={} status={}", id, exit_refused));
    return fail(node.error());
  }
  hosted.node = std::move(*node);
  ++hosted.life;
  return {};
}

void NodeHost::on_ended(NodeId id, int status, const std::optional<Error>& refusal) {
  Hosted& hosted = nodes_.at(id);
  hosted.node.reset();
  hosted.status = status;
  say(fmt::format("ended node.id={} status={}", id, status));
  if (refusal) log(LogLevel::error, "host", "node {}: {}", id, refusal->context);
  if (status == exit_fatal || (status == exit_refused && hosted.life == 1)) {
    if (status_ == exit_done) status_ = status;
  }
  if (status == exit_refused && hosted.life == 1) end_all();
  changed_->notify_all();
}

void NodeHost::end_all() {
  stopping_ = true;
  for (const auto& [id, hosted] : nodes_) {
    if (hosted.node != nullptr) hosted.node->end(Ending::controlled);
  }
  changed_->notify_all();
}

bool NodeHost::is_empty() const {
  return std::all_of(nodes_.begin(), nodes_.end(),
                     [](const auto& entry) { return entry.second.node == nullptr; });
}

void NodeHost::say(const std::string& words) {
  out_ << words << '\n' << std::flush;
}

Task<Result<std::string>> NodeHost::answer(std::string method, std::string request) {
  if (method == "StartNode") {
    control::StartNodeRequest message;
    if (!message.ParseFromString(request)) co_return fail(Errc::corrupt, "no StartNodeRequest");
    CO_TRY_VOID(start_from(message.config_file()));
    co_return encode_reply(exit_done);
  }
  if (method != "StopNode" && method != "KillNode") {
    co_return fail(Errc::unsupported, "there is no call {}; ask the node itself", method);
  }
  control::EndNodeRequest message;
  if (!message.ParseFromString(request)) co_return fail(Errc::corrupt, "no EndNodeRequest");
  co_return co_await end(NodeId(message.node_id()),
                         method == "StopNode" ? Ending::controlled : Ending::killed);
}

Result<void> NodeHost::start_from(const std::string& config_file) {
  if (stopping_) return fail(Errc::closed, "this process is shutting down");
  TRY(NodeConfig config, read_config(config_file, options_.overrides));
  std::vector<NodeConfig> configs;
  for (const auto& [id, hosted] : nodes_) {
    if (hosted.node != nullptr) configs.push_back(hosted.config);
  }
  configs.push_back(config);
  TRY_VOID(check_side_by_side(configs));
  return start(std::move(config));
}

Task<Result<std::string>> NodeHost::end(NodeId id, Ending how) {
  const auto at = nodes_.find(id);
  if (at == nodes_.end() || at->second.node == nullptr) {
    co_return fail(Errc::not_found, "node {} does not run in this process", id);
  }
  const int life = at->second.life;
  at->second.node->end(how);
  while (at->second.node != nullptr && at->second.life == life) co_await changed_->wait();
  co_return encode_reply(at->second.status);
}

}  // namespace qlab::broker
