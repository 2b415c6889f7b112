#include "keeper/node/options.h"

#include <charconv>

namespace qlab::keeper::node {
namespace {

using std::chrono::milliseconds;

bool read_number(std::string_view text, std::int64_t min, std::int64_t max, std::int64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() && value >= min && value <= max;
}

bool set_tick(NodeOptions& options, std::string_view text) {
  std::int64_t value = 0;
  if (!read_number(text, 10, 60'000, value)) return false;
  options.keeper.tick = milliseconds(value);
  return true;
}
bool set_sync(NodeOptions& options, std::string_view text) {
  options.keeper.quorum_sync = text == "quorum";
  return text == "quorum" || text == "zk";
}
bool set_container_interval(NodeOptions& options, std::string_view text) {
  std::int64_t value = 0;
  if (!read_number(text, 10, 3'600'000, value)) return false;
  options.keeper.container_interval = milliseconds(value);
  return true;
}
bool set_buffer(NodeOptions& options, std::string_view text) {
  std::int64_t value = 0;
  if (!read_number(text, 1024, 1 << 20, value)) return false;
  options.keeper.znode_bytes_max = static_cast<std::size_t>(value);
  return true;
}
bool set_connections(NodeOptions& options, std::string_view text) {
  std::int64_t value = 0;
  if (!read_number(text, 1, 100'000, value)) return false;
  options.keeper.connections_max = static_cast<std::size_t>(value);
  return true;
}
bool set_observers(NodeOptions& options, std::string_view text) {
  while (!text.empty()) {
    const std::string_view item = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), item.size() + 1));
    std::int64_t id = 0;
    if (!read_number(item, 0, 1'000'000, id)) return false;
    options.observers.insert(NodeId(static_cast<std::int32_t>(id)));
  }
  return true;
}

struct Flag {
  std::string_view name;
  std::string_view standard;
  std::string_view allowed;
  std::string_view meaning;
  bool (*set)(NodeOptions&, std::string_view);
};
constexpr Flag flags[] = {
    {"tick-ms", "2000", "10 to 60000", "tickTime; a session's timeout is 2 to 20 ticks", set_tick},
    {"sync", "zk", "zk, quorum", "zk: the leader answers sync by itself; quorum: by the log",
     set_sync},
    {"container-interval-ms", "60000", "10 to 3600000",
     "how often containers and znodes with a time to live are looked at", set_container_interval},
    {"max-buffer", "1048575", "1024 to 1048576",
     "jute.maxbuffer: bytes of a znode's path and data together", set_buffer},
    {"max-clients", "10000", "1 to 100000", "connections at a time", set_connections},
    {"observers", "none", "ids among --voters, id,...", "servers that follow and do not vote",
     set_observers},
};

const Flag* find(std::string_view name) {
  for (const Flag& flag : flags) {
    if (flag.name == name) return &flag;
  }
  return nullptr;
}

}  // namespace

Result<NodeOptions> parse_options(const std::vector<std::string>& words) {
  NodeOptions options;
  std::vector<std::string> rest;
  bool has_module = false;
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::string_view name = words[i];
    if (name.starts_with("--")) name.remove_prefix(2);
    const std::size_t equals = name.find('=');
    const Flag* flag = find(name.substr(0, equals));
    has_module = has_module || name.substr(0, equals) == "module";
    if (flag == nullptr) {
      rest.push_back(words[i]);
      continue;
    }
    std::string_view value;
    if (equals != std::string_view::npos) {
      value = name.substr(equals + 1);
    } else if (i + 1 < words.size()) {
      value = words[++i];
    }
    if (!flag->set(options, value)) {
      return fail(Errc::invalid, "--{}={}: allowed is {}", flag->name, value, flag->allowed);
    }
  }
  if (!has_module) rest.emplace_back("--module=zab");
  TRY(options.consensus, consensus::node::parse_options(rest));
  options.keeper.id = options.consensus.id;
  for (const NodeId id : options.observers) {
    if (options.consensus.voters.contains(id)) continue;
    return fail(Errc::invalid, "--observers={}: it is none of --voters; allowed is one of them",
                id);
  }
  if (options.observers.size() == options.consensus.voters.size()) {
    return fail(Errc::invalid, "--observers: all of --voters; allowed are all but one");
  }
  return options;
}

std::string help() {
  std::string text =
      "qlab-keeper --id=N --voters=ID@HOST:PORT,... --dir=PATH [--flag=value]...\n\n"
      "One server of a keeper, which speaks ZooKeeper's client protocol at --client.\n\nFlags:\n";
  for (const Flag& flag : flags) {
    text += fmt::format("  --{} (default {})\n      {}; {}\n", flag.name, flag.standard,
                        flag.allowed, flag.meaning);
  }
  std::string below = consensus::node::help();
  constexpr std::string_view module = "--module (default ";
  const std::size_t standard = below.find(module) + module.size();
  below.replace(standard, below.find(')', standard) - standard, "zab");
  return text + "\nThe rest is as of qlab-consensus-node:\n" +
         below.substr(below.find("Flags:") + 6);
}

}  // namespace qlab::keeper::node
