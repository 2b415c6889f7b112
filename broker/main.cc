// The process: arguments, configs, exit status.

#include <iostream>

#include "broker/node_host.h"
#include "common/logging.h"

namespace qlab::broker {
namespace {

constexpr std::string_view version_text = "qlab-node 0.1.0\n";
constexpr std::string_view help_text =
    R"(qlab-node --config FILE [--config FILE]... [--set key=value]... [--control HOST:PORT]
qlab-node --help | --version

With several files the process carries several nodes, each with its own directory, ports, threads
and trace. --set counts for all of them.

--control takes the calls StartNode, StopNode and KillNode of wire/proto/control.proto, which start
a node of this process, end it in order, or end it as SIGKILL would: its sockets close and nobody is
told. Without it nothing ends a single node. With it the process waits for SIGTERM when all its
nodes have ended.

Keys:
)";

int refuse(const Error& error) {
  std::cerr << fmt::format("qlab-node: {}\n", error.context) << std::flush;
  return exit_refused;
}

struct Arguments {
  std::vector<std::string> config_files;
  std::optional<runtime::Endpoint> control;
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
    } else if (word == "--config" && i + 1 < words.size()) {
      arguments.config_files.push_back(words[++i]);
    } else if (word == "--control" && i + 1 < words.size()) {
      TRY(arguments.control, runtime::Endpoint::parse(words[++i]));
    } else if (word == "--set" && i + 1 < words.size()) {
      TRY(Setting setting, parse_override(words[++i]));
      arguments.overrides.push_back(std::move(setting));
    } else {
      return fail(Errc::invalid,
                  "{} is not an argument, or lacks its value; allowed: --config FILE, "
                  "--set key=value, --control HOST:PORT, --help, --version",
                  word);
    }
  }
  return arguments;
}

// A node for each file; without one, the node that the overrides describe.
Result<std::vector<NodeConfig>> read_configs(const Arguments& arguments) {
  std::vector<NodeConfig> configs;
  for (const std::string& file : arguments.config_files) {
    TRY(NodeConfig config, read_config(file, arguments.overrides));
    configs.push_back(std::move(config));
  }
  if (configs.empty()) {
    TRY(NodeConfig config, make_config({}, arguments.overrides));
    configs.push_back(std::move(config));
  }
  TRY_VOID(check_side_by_side(configs));
  return configs;
}

int run(const std::vector<std::string>& words) {
  const auto arguments = parse_arguments(words);
  if (!arguments) return refuse(arguments.error());
  if (arguments->help) {
    std::cout << help_text << config_help();
    return 0;
  }
  if (arguments->version) {
    std::cout << version_text;
    return 0;
  }
  auto configs = read_configs(*arguments);
  if (!configs) return refuse(configs.error());
  set_log_level(configs->front().log_level);
  HostOptions options{std::move(*configs), arguments->overrides, arguments->control};
  return NodeHost(std::move(options), std::cout).run();
}

}  // namespace
}  // namespace qlab::broker

int main(int argc, char** argv) {
  return qlab::broker::run({argv + 1, argv + argc});
}
