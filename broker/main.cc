// The node's process: arguments, config, the real world, signals, exit status.

#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>

#include "broker/config.h"
#include "broker/node.h"
#include "common/logging.h"
#include "runtime/real/directory_lock.h"
#include "runtime/real/real_runtime.h"

namespace qlab::broker {
namespace {

constexpr int exit_refused = 2;  // The config or the start.
constexpr int exit_fatal = 3;    // The node could not go on.
constexpr std::string_view version_text = "qlab-node 0.1.0\n";

int refuse(const Error& error) {
  std::cerr << fmt::format("qlab-node: {}\n", error.context) << std::flush;
  return exit_refused;
}

struct Arguments {
  std::string config_file;
  std::vector<Setting> overrides;
  bool help = false;
  bool version = false;
};

Result<Arguments> parse_arguments(const std::vector<std::string>& words) {
  Arguments arguments;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--help") {
      arguments.help = true;
    } else if (word == "--version") {
      arguments.version = true;
    } else if ((word == "--config" || word == "--set") && i + 1 < words.size()) {
      const std::string& value = words[++i];
      if (word == "--config") {
        arguments.config_file = value;
        continue;
      }
      TRY(Setting setting, parse_override(value));
      arguments.overrides.push_back(std::move(setting));
    } else {
      return fail(Errc::invalid,
                  "{} is not an argument, or lacks its value; allowed: --config FILE, "
                  "--set key=value, --help, --version",
                  word);
    }
  }
  return arguments;
}

Result<NodeConfig> read_config(const Arguments& arguments) {
  std::vector<Setting> settings;
  if (!arguments.config_file.empty()) {
    std::ifstream file(arguments.config_file);
    if (!file) return fail(Errc::io, "--config {}: cannot be read", arguments.config_file);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    TRY(settings, parse_properties(text, arguments.config_file));
  }
  return make_config(settings, arguments.overrides);
}

void say_ready(const NodeConfig& config, const Node& node) {
  const auto& kafka = node.kafka_endpoint();
  std::cout << fmt::format("ready node.id={} kafka={} peer={}\n", config.node,
                           kafka ? kafka->to_string() : "none", node.peer_endpoint().to_string())
            << std::flush;
}

// The whole life of a node. Sets the exit status.
runtime::Task<void> live(runtime::RealShards& shards, NodeConfig config, int& status) {
  NodeEvents events;
  std::unique_ptr<Node> node;
  events.on_ready = [&] { say_ready(config, *node); };
  events.on_fatal = [&](const Error&) {
    status = exit_fatal;
    shards.end_signal_wait();
  };
  node = std::make_unique<Node>(shards, config, events);
  const auto started = co_await node->start();
  if (!started) {
    if (status == 0) status = refuse(started.error());
  } else if (status == 0) {
    const auto signal = co_await shards.wait_for_signal();
    if (signal) log(LogLevel::info, "node", "signal {}: shutting down", *signal);
  }
  co_await node->stop(status == 0);
}

int run(const std::vector<std::string>& words) {
  const auto arguments = parse_arguments(words);
  if (!arguments) return refuse(arguments.error());
  if (arguments->help) {
    std::cout << "qlab-node --config FILE [--set key=value]... | --help | --version\n\nKeys:\n"
              << config_help();
    return 0;
  }
  if (arguments->version) {
    std::cout << version_text;
    return 0;
  }
  const auto config = read_config(*arguments);
  if (!config) return refuse(config.error());
  set_log_level(config->log_level);

  runtime::RealOptions options;
  options.root = config->log_dir;
  options.node = config->node;
  options.shards = config->shards;
  options.transport = config->transport;
  std::error_code error;
  std::filesystem::create_directories(options.root, error);
  if (error)
    return refuse({Errc::io, fmt::format("log.dir={}: {}", config->log_dir, error.message())});
  const auto lock = runtime::lock_directory(options.root);
  if (!lock) {
    return refuse({Errc::exists, fmt::format("log.dir={}: {}; allowed: a directory that no other "
                                             "process uses",
                                             config->log_dir, lock.error().context)});
  }
  options.trace_file = config->trace_file;  // Not before we know that nobody else writes it.
  auto shards = runtime::RealShards::create(options);
  if (!shards) return refuse(shards.error());
  int status = 0;
  (*shards)->run([&] { return live(**shards, *config, status); });
  return status;
}

}  // namespace
}  // namespace qlab::broker

int main(int argc, char** argv) {
  return qlab::broker::run({argv + 1, argv + argc});
}
