#include "experiments/consensus_load/options.h"

#include <algorithm>
#include <charconv>
#include <functional>

namespace qlab::experiments {
namespace {

using O = ConsensusLoadOptions;
using Set = std::function<bool(O&, const std::string&)>;

struct Flag {
  std::string_view name;
  std::string standard;
  std::string allowed;
  std::string_view meaning;
  Set set;
};

template <class T>
struct Bounds {
  T min;
  T max;
};

template <class T>
Flag number(std::string_view name, T O::*field, Bounds<T> bounds, std::string_view meaning) {
  const auto set = [field, bounds](O& options, const std::string& text) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return false;
    if (!(value >= bounds.min && value <= bounds.max)) return false;
    options.*field = value;
    return true;
  };
  return {name, fmt::format("{}", O{}.*field), fmt::format("{} to {}", bounds.min, bounds.max),
          meaning, set};
}

bool set_system(O& options, const std::string& text) {
  options.system = text;
  return text == "ours" || text == "etcd" || text == "zookeeper";
}

bool set_endpoints(O& options, const std::string& text) {
  options.endpoints.clear();
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view item = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), item.size() + 1));
    if (item.find(':') == std::string_view::npos) return false;
    options.endpoints.emplace_back(item);
  }
  return !options.endpoints.empty();
}

bool set_output(O& options, const std::string& text) {
  options.output = text;
  return !text.empty();
}

bool set_acks(O& options, const std::string& text) {
  options.acks = text == "true";
  return text == "true" || text == "false";
}

std::vector<Flag> flags() {
  return {
      {"system", "ours", "ours, etcd, zookeeper",
       "ours: qlab-consensus-node; etcd: Put over gRPC; zookeeper: setData through its C client",
       set_system},
      {"endpoints", "none", "host:port,...",
       "where its clients connect; connections take them in turn", set_endpoints},
      {"output", "none", "a directory", "for result.json and acks.csv", set_output},
      number<std::int64_t>("connections", &O::connections, {1, 64}, "each with its own socket"),
      number<std::int64_t>("window", &O::window, {1, 65'536},
                           "requests without an answer, all connections together; an open loop "
                           "holds no more back"),
      number<std::int64_t>("bytes", &O::bytes, {16, 1 << 19}, "of a value"),
      number<double>("rate", &O::rate, {0.0, 1e6},
                     "intended requests per second, all connections together; 0: a closed loop"),
      number<double>("duration", &O::duration_s, {0.1, 86'400.0},
                     "seconds measured after the warm-up"),
      number<double>("warmup", &O::warmup_s, {0.0, 3600.0}, "seconds before it"),
      {"acks", "false", "true, false",
       "write acks.csv: connection, intended, answered (monotonic ns), outcome", set_acks},
  };
}

}  // namespace

Result<O> parse_consensus_options(const std::vector<std::string>& words) {
  const std::vector<Flag> known = flags();
  O options;
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::string_view name = words[i];
    if (!name.starts_with("--")) return fail(Errc::invalid, "{} is no flag; see --help", name);
    name.remove_prefix(2);
    std::string value;
    const std::size_t equals = name.find('=');
    if (equals != std::string_view::npos) {
      value = name.substr(equals + 1);
      name = name.substr(0, equals);
    } else if (i + 1 < words.size()) {
      value = words[++i];
    }
    const auto flag = std::find_if(known.begin(), known.end(),
                                   [name](const Flag& one) { return one.name == name; });
    if (flag == known.end()) return fail(Errc::invalid, "--{} is unknown; see --help", name);
    if (!flag->set(options, value)) {
      return fail(Errc::invalid, "--{}={}: allowed is {}", name, value, flag->allowed);
    }
  }
  if (options.endpoints.empty()) return fail(Errc::invalid, "--endpoints is missing");
  if (options.output.empty()) return fail(Errc::invalid, "--output is missing");
  if (options.window < options.connections) {
    return fail(Errc::invalid, "--window={}: allowed is --connections={} or more", options.window,
                options.connections);
  }
  return options;
}

std::string consensus_help() {
  std::string text =
      "qlab-consensus-load --system=NAME --endpoints=HOST:PORT,... --output=DIR [--flag=value]...\n"
      "\nWrites to a consensus group and measures each write: with the same number of connections\n"
      "and of requests under way for every system. A closed loop sends the next request when one\n"
      "is answered; an open loop sends at intended times and counts latency from them.\n"
      "result.json has counts by outcome, failures by their reason, rates and the histogram.\n\n"
      "Flags:\n";
  for (const Flag& flag : flags()) {
    text += fmt::format("  --{} (default {})\n      {}; {}\n", flag.name, flag.standard,
                        flag.allowed, flag.meaning);
  }
  return text;
}

}  // namespace qlab::experiments
