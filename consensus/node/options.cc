#include "consensus/node/options.h"

#include <charconv>
#include <functional>

#include <fmt/ranges.h>

#include "runtime/real/transports.h"
#include "sim/modules.h"
#include "storage/engine.h"

namespace qlab::consensus::node {
namespace {

using std::chrono::milliseconds;
using Set = std::function<bool(NodeOptions&, const std::string&)>;

// A vote has to stand for as long as it may take a better one to come, which has nothing to do with
// how long a leader may be silent.
constexpr Duration finalize_wait_max = milliseconds(50);

struct Flag {
  std::string_view name;
  std::string standard;  // As one would write it.
  std::string allowed;
  std::string_view meaning;
  Set set;
};

bool read_number(std::string_view text, std::int64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

struct Bounds {
  std::int64_t min;
  std::int64_t max;
};

Flag number(std::string_view name, std::int64_t NodeOptions::*field, Bounds bounds,
            std::string_view meaning) {
  const auto set = [field, bounds](NodeOptions& options, const std::string& text) {
    return read_number(text, options.*field) && options.*field >= bounds.min &&
           options.*field <= bounds.max;
  };
  return {name, std::to_string(NodeOptions{}.*field),
          fmt::format("{} to {}", bounds.min, bounds.max), meaning, set};
}

Flag text(std::string_view name, std::string NodeOptions::*field, std::string_view allowed,
          std::string_view meaning) {
  const auto set = [field](NodeOptions& options, const std::string& value) {
    options.*field = value;
    return !value.empty();
  };
  return {name, NodeOptions{}.*field, std::string(allowed), meaning, set};
}

Flag word(std::string_view name, std::string standard, std::vector<std::string_view> words,
          std::string_view meaning, std::function<void(NodeOptions&, const std::string&)> store) {
  const auto set = [words, store](NodeOptions& options, const std::string& value) {
    if (std::find(words.begin(), words.end(), value) == words.end()) return false;
    store(options, value);
    return true;
  };
  return {name, std::move(standard), fmt::format("{}", fmt::join(words, ", ")), meaning, set};
}

Flag plug(std::string_view name, std::string NodeOptions::*field,
          std::vector<std::string_view> words, std::string_view meaning) {
  const auto store = [field](NodeOptions& o, const std::string& value) { o.*field = value; };
  return word(name, NodeOptions{}.*field, std::move(words), meaning, store);
}

Flag yes_no(std::string_view name, bool NodeOptions::*field, std::string_view meaning) {
  const auto store = [field](NodeOptions& o, const std::string& v) { o.*field = v == "true"; };
  return word(name, NodeOptions{}.*field ? "true" : "false", {"true", "false"}, meaning, store);
}

bool set_endpoint(runtime::Endpoint& field, std::string_view text) {
  auto endpoint = runtime::Endpoint::parse(text);
  if (!endpoint || endpoint->host.empty()) return false;
  field = std::move(*endpoint);
  return true;
}

bool set_voters(NodeOptions& options, const std::string& text) {
  options.voters.clear();
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view item = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), item.size() + 1));
    const std::size_t at = item.find('@');
    std::int64_t id = -1;
    runtime::Endpoint endpoint;
    if (at == std::string_view::npos || !read_number(item.substr(0, at), id) || id < 0 ||
        id > 1'000'000 || !set_endpoint(endpoint, item.substr(at + 1)) || endpoint.port == 0) {
      return false;
    }
    if (!options.voters.emplace(NodeId(static_cast<std::int32_t>(id)), endpoint).second) {
      return false;
    }
  }
  return !options.voters.empty();
}

bool set_id(NodeOptions& options, const std::string& text) {
  std::int64_t id = -1;
  if (!read_number(text, id) || id < 0 || id > 1'000'000) return false;
  options.id = NodeId(static_cast<std::int32_t>(id));
  return true;
}

void set_level(NodeOptions& options, const std::string& text) {
  options.log_level = text == "debug"  ? LogLevel::debug
                      : text == "info" ? LogLevel::info
                      : text == "warn" ? LogLevel::warn
                                       : LogLevel::error;
}

std::vector<Flag> flags() {
  using O = NodeOptions;
  const auto client = [](O& o, const std::string& value) { return set_endpoint(o.client, value); };
  const auto durability = [](O& o, const std::string& value) { o.durable = value == "sync"; };
  return {
      {"id", "0", "0 to 1000000", "this node's among the voters", set_id},
      {"voters", "", "id@host:port,..., each id once", "every voter, by where nodes reach it",
       set_voters},
      {"client", "127.0.0.1:0", "host:port", "where clients connect; port 0: any", client},
      text("dir", &O::directory, "a path", "of log and vote; made when missing"),
      text("cluster", &O::cluster_id, "any word", "a peer with another one is refused"),
      plug("module", &O::module, sim::module_names(), "the protocol"),
      plug("engine", &O::engine, storage::engine_names(), "how the log reaches the disk"),
      plug("preallocation", &O::preallocation, storage::preallocation_names(),
           "how the log's files get their space"),
      plug("transport", &O::transport,
           {runtime::transport_names.begin(), runtime::transport_names.end()},
           "how nodes reach each other"),
      word("durability", "sync", {"sync", "none"},
           "sync: a group commit before every acknowledgement; none: the log is never synced",
           durability),
      plug("profile", &O::profile, {"equal_budget", "as_shipped"},
           "as_shipped: the timeouts of the system whose protocol it is"),
      number("detection-ms", &O::detection_ms, {10, 60'000},
             "profile equal_budget: a silent leader is suspected after it"),
      number("linger-us", &O::linger_us, {0, 100'000}, "how long proposals wait for company"),
      number("snapshot-mib", &O::snapshot_mib, {0, 65'536},
             "an image is made when so much was applied; 0: never"),
      yes_no("link-down-is-suspicion", &O::link_down_is_suspicion,
             "a broken link to the leader begins an election at once"),
      yes_no("pre-vote", &O::pre_vote, "ask whether an election is worth while before it"),
      number("seed", &O::seed, {0, INT64_MAX}, "of all random numbers; 0: drawn from the system"),
      text("trace", &O::trace_file, "a path",
           "where the trace goes (docs/trace.md); none: nowhere"),
      yes_no("trace-details", &O::trace_details, "every message, write and commit goes there, too"),
      number("trace-entries-every", &O::trace_entries_every, {0, 1'000'000'000},
             "of entries whose index is a multiple of it the latency goes there; 0: of none"),
      word("log-level", "info", {"debug", "info", "warn", "error"}, "the least that is printed",
           set_level),
  };
}

Result<void> validate(const NodeOptions& options) {
  if (options.directory.empty()) return fail(Errc::invalid, "--dir=: it names a directory");
  if (!options.voters.contains(options.id)) {
    return fail(Errc::invalid, "--id={}: it is none of --voters; allowed is one of them",
                options.id);
  }
  return {};
}

}  // namespace

Result<NodeOptions> parse_options(const std::vector<std::string>& words) {
  const std::vector<Flag> known = flags();
  NodeOptions options;
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::string_view name = words[i];
    if (!name.starts_with("--")) return fail(Errc::invalid, "{} is no flag; see --help", name);
    name.remove_prefix(2);
    const std::size_t equals = name.find('=');
    std::string value;
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
  TRY_VOID(validate(options));
  return options;
}

std::string help() {
  std::string text =
      "qlab-consensus-node --id=N --voters=ID@HOST:PORT,... --dir=PATH [--flag=value]...\n\n"
      "One replica of a consensus group with a register as its state. It prints\n"
      "`ready id=N client=HOST:PORT peer=HOST:PORT` when it takes clients, and ends on SIGTERM.\n"
      "A group of three on this machine, and a client:\n\n"
      "  V=1@127.0.0.1:7101,2@127.0.0.1:7102,3@127.0.0.1:7103\n"
      "  for i in 1 2 3; do qlab-consensus-node --id=$i --voters=$V --dir=/tmp/node-$i \\\n"
      "      --client=127.0.0.1:720$i & done\n"
      "  qlab-consensus-load --system=ours --output=/tmp/load --window=16 --duration=5 \\\n"
      "      --endpoints=127.0.0.1:7201,127.0.0.1:7202,127.0.0.1:7203\n\nFlags:\n";
  for (const Flag& flag : flags()) {
    text += fmt::format("  --{} (default {})\n      {}; {}\n", flag.name,
                        flag.standard.empty() ? "none" : flag.standard, flag.allowed, flag.meaning);
  }
  return text;
}

Tuning tuning_of(const NodeOptions& options) {
  Tuning tuning;
  tuning.link_down_is_suspicion = options.link_down_is_suspicion;
  tuning.pre_vote = options.pre_vote;
  if (options.profile == "equal_budget") {
    const milliseconds detection(options.detection_ms);
    tuning.election_timeout = detection;
    tuning.heartbeat_interval = detection / 5;
    tuning.fetch_timeout = detection;
    tuning.sync_limit = detection;
    tuning.finalize_wait = std::min<Duration>(detection / 10, finalize_wait_max);
    return tuning;
  }
  if (options.module == "zab") {  // tickTime 2000, syncLimit 5, initLimit 10, finalizeWait 200.
    tuning.election_timeout = milliseconds(2000);
    tuning.heartbeat_interval = milliseconds(1000);
    tuning.sync_limit = milliseconds(10'000);
    tuning.init_limit = milliseconds(20'000);
    tuning.finalize_wait = milliseconds(200);
  } else if (options.module == "kraft") {  // controller.quorum.*.timeout.ms
    tuning.election_timeout = milliseconds(1000);
    tuning.fetch_timeout = milliseconds(2000);
    tuning.heartbeat_interval = milliseconds(500);
  } else {  // etcd: --heartbeat-interval=100 --election-timeout=1000
    tuning.election_timeout = milliseconds(1000);
    tuning.heartbeat_interval = milliseconds(100);
  }
  return tuning;
}

}  // namespace qlab::consensus::node
