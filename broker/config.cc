#include "broker/config.h"

#include <charconv>
#include <functional>
#include <optional>

#include <fmt/ranges.h>

#include "broker/config_keys.h"
#include "common/check.h"
#include "runtime/real/transports.h"

namespace qlab::broker {

using std::chrono::milliseconds;

Key number(std::string_view name, Bounds bounds, std::string_view meaning,
           std::function<void(NodeConfig&, std::int64_t)> store) {
  const auto set = [bounds, store](NodeConfig& config, const std::string& text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return false;
    if (value < bounds.min || value > bounds.max) return false;
    store(config, value);
    return true;
  };
  return {name, std::to_string(bounds.fallback),
          fmt::format("an integer in [{}, {}]", bounds.min, bounds.max), meaning, set};
}

Key millis(std::string_view name, Bounds bounds, std::string_view meaning,
           std::function<Duration&(NodeConfig&)> field) {
  return number(name, bounds, meaning, [field](NodeConfig& config, std::int64_t value) {
    field(config) = milliseconds(value);
  });
}

Key word(std::string_view name, std::string fallback, std::vector<std::string_view> words,
         std::string_view meaning, std::function<void(NodeConfig&, const std::string&)> store) {
  const auto set = [words, store](NodeConfig& config, const std::string& text) {
    if (std::find(words.begin(), words.end(), text) == words.end()) return false;
    store(config, text);
    return true;
  };
  return {name, std::move(fallback), fmt::format("one of {}", fmt::join(words, ", ")), meaning,
          set};
}

bool set_endpoint(runtime::Endpoint& field, const std::string& text) {
  auto endpoint = runtime::Endpoint::parse(text);
  if (!endpoint || endpoint->host.empty()) return false;
  field = std::move(*endpoint);
  return true;
}

bool set_nodes(std::map<NodeId, runtime::Endpoint>& field, const std::string& text) {
  field.clear();
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view item = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), item.size() + 1));
    const std::size_t at = item.find('@');
    if (at == std::string_view::npos) return false;
    std::int32_t id = -1;
    const auto [end, error] = std::from_chars(item.data(), item.data() + at, id);
    if (error != std::errc{} || end != item.data() + at || id < 0) return false;
    runtime::Endpoint endpoint;
    if (!set_endpoint(endpoint, std::string(item.substr(at + 1))) || endpoint.port == 0) {
      return false;
    }
    if (!field.emplace(NodeId{id}, std::move(endpoint)).second) return false;
  }
  return text.empty() || text.back() != ',';
}

namespace {

bool set_roles(NodeConfig& config, const std::string& text) {
  config.is_broker = text == "broker" || text == "broker,controller" || text == "controller,broker";
  config.is_controller = text != "broker";
  return config.is_broker || text == "controller";
}

bool set_voters(NodeConfig& config, const std::string& text) {
  return set_nodes(config.voters, text) && !config.voters.empty();
}

std::vector<Key> identity_keys() {
  return {
      {"node.id", std::nullopt, fmt::format("an integer in [0, {}]", int32_max),
       "Identity of this node, unique in its cluster.",
       number("", {0, 0, int32_max}, "",
              [](NodeConfig& c, std::int64_t v) { c.node = NodeId{static_cast<std::int32_t>(v)}; })
           .set},
      {"cluster.id", std::nullopt, "a uuid as 22 characters of base64url",
       "Identity of the cluster; a data directory or a peer of another one is refused.",
       [](NodeConfig& c, const std::string& text) {
         c.cluster_id = text;
         return Uuid::parse(text).has_value();
       }},
      {"process.roles", "broker,controller", "broker, controller or both, joined by a comma",
       "What this process is. Exactly the voters are controllers.", set_roles},
      {"log.dir", std::nullopt, "a path", "The data directory; formatted when empty.",
       [](NodeConfig& c, const std::string& text) {
         c.log_dir = text;
         return !text.empty();
       }},
      {"listener", std::nullopt, "host:port",
       "Where clients and followers reach the Kafka protocol; port 0: any.",
       [](NodeConfig& c, const std::string& text) { return set_endpoint(c.listener, text); }},
      {"peer.listener", std::nullopt, "host:port",
       "Where nodes reach each other (consensus, controller calls, control service).",
       [](NodeConfig& c, const std::string& text) { return set_endpoint(c.peer_listener, text); }},
      {"controller.quorum.voters", std::nullopt, "id@host:port[,id@host:port...], each id once",
       "Every voter of the metadata log with its peer.listener.", set_voters},
  };
}

std::vector<Key> server_keys() {
  return {
      number("message.max.bytes", {1'048'588, 0, int32_max}, "Of one record batch.",
             [](NodeConfig& c, std::int64_t v) {
               c.server.message_bytes_max = static_cast<std::size_t>(v);
             }),
      number("socket.request.max.bytes", {104'857'600, 1024, int32_max}, "Of one request.",
             [](NodeConfig& c, std::int64_t v) {
               c.server.request_bytes_max = static_cast<std::size_t>(v);
             }),
      number("max.connections", {10'000, 1, 1'000'000}, "Of clients at a time; more are closed.",
             [](NodeConfig& c, std::int64_t v) {
               c.server.connections_max = static_cast<std::size_t>(v);
             }),
      millis("connections.max.idle.ms", {600'000, 100, int32_max},
             "A connection without requests is closed after it.",
             [](NodeConfig& c) -> Duration& { return c.server.connection_idle_max; }),
      {"broker.rack", "", "a name, or nothing", "Where the broker stands, for consumers nearby.",
       [](NodeConfig& c, const std::string& text) {
         c.server.rack = text;
         return true;
       }},
      word(
          "replica.selector.class", "leader",
          {"leader", "rack-aware", "org.apache.kafka.common.replica.LeaderSelector",
           "org.apache.kafka.common.replica.RackAwareReplicaSelector"},
          "Whom a consumer that names its rack reads from: the leader, or a replica in sync there.",
          [](NodeConfig& c, const std::string& text) {
            c.server.rack_aware_reads =
                text == "rack-aware" || text.ends_with("RackAwareReplicaSelector");
          }),
      number("max.incremental.fetch.session.cache.slots", {1000, 0, 1'000'000},
             "Of fetch sessions that are kept; who finds no room fetches without one.",
             [](NodeConfig& c, std::int64_t v) {
               c.server.fetch_sessions_max = static_cast<std::size_t>(v);
             }),
      millis("broker.heartbeat.interval.ms", {2000, 10, 60'000},
             "Between two heartbeats to the controller.",
             [](NodeConfig& c) -> Duration& { return c.server.heartbeat_interval; }),
      millis("replica.lag.time.max.ms", {30'000, 100, 600'000},
             "A follower that was not caught up for so long leaves the in-sync replicas.",
             [](NodeConfig& c) -> Duration& { return c.replication.lag_max; }),
      millis("replica.fetch.wait.max.ms", {500, 1, 60'000},
             "How long a leader may hold a follower's fetch that has nothing to bring.",
             [](NodeConfig& c) -> Duration& { return c.replication.fetch_wait_max; }),
      number("replica.fetch.max.bytes", {1 << 20, 1024, 1 << 30},
             "Per partition in one fetch of a follower; one batch always fits.",
             [](NodeConfig& c, std::int64_t v) {
               c.replication.fetch_bytes_max = static_cast<std::size_t>(v);
             }),
      millis("replica.fetch.backoff.ms", {50, 1, 60'000}, "After a failed fetch of a follower.",
             [](NodeConfig& c) -> Duration& { return c.replication.fetch_backoff; }),
  };
}

std::vector<Key> diagnosis_keys() {
  return {
      word("transport", "grpc", {runtime::transport_names.begin(), runtime::transport_names.end()},
           "How nodes reach each other. With tcp the control service speaks its frames too, and "
           "tools that speak gRPC do not reach the node.",
           [](NodeConfig& c, const std::string& text) { c.transport = text; }),
      {"trace.file", "", "a path, or nothing", "Where to write the trace (NDJSON); empty: nowhere.",
       [](NodeConfig& c, const std::string& text) {
         c.trace_file = text;
         return true;
       }},
      word("log.level", "info", {"debug", "info", "warn", "error"},
           "The least level that is printed to standard error.",
           [](NodeConfig& c, const std::string& text) {
             c.log_level = text == "debug"  ? LogLevel::debug
                           : text == "info" ? LogLevel::info
                           : text == "warn" ? LogLevel::warn
                                            : LogLevel::error;
           }),
  };
}

const std::vector<Key>& keys() {
  static const std::vector<Key> all = [] {
    std::vector<Key> table;
    for (auto* part : {identity_keys, storage_keys, file_keys, cleaning_keys, topic_keys,
                       server_keys, replicator_keys, plane_keys, controller_keys, diagnosis_keys}) {
      for (Key& key : part()) table.push_back(std::move(key));
    }
    return table;
  }();
  return all;
}

Result<void> check_keeper(const NodeConfig& config) {
  const KeeperOptions& keeper = config.keeper;
  if (!config.is_broker) {
    return fail(Errc::invalid,
                "process.roles=controller leaves nobody to be elected with controller.design=zk; "
                "allowed: broker,controller or broker, as its controllers are brokers");
  }
  if (config.is_controller && !keeper.listener) {
    return fail(Errc::invalid,
                "keeper.listener is missing; allowed: host:port, as a controller of "
                "controller.design=zk is a server of the keeper");
  }
  if (keeper.connect.empty()) {
    return fail(Errc::invalid,
                "keeper.connect is missing; allowed: host:port[,host:port...], as a broker of "
                "controller.design=zk is a client of the keeper");
  }
  if (keeper.session_timeout < keeper.tick * 2 || keeper.session_timeout > keeper.tick * 20) {
    return fail(Errc::invalid,
                "zookeeper.session.timeout.ms={} is no session of this keeper; allowed: 2 to 20 "
                "times keeper.tick.ms={}",
                to_millis(keeper.session_timeout), to_millis(keeper.tick));
  }
  return {};
}

Result<void> check_groups(const NodeConfig& config) {
  if (config.design == "zk") {
    return fail(Errc::invalid,
                "replicator=consensus is unsupported with controller.design=zk; allowed: quorum, "
                "which takes the claims of the groups' leaders");
  }
  if (config.engine == "memory") {
    return fail(Errc::invalid,
                "engine=memory forgets the votes of replicator=consensus; allowed: an engine that "
                "keeps what it is given");
  }
  if (config.replicator.tuning.heartbeat_interval * 2 > config.replicator.tuning.election_timeout) {
    return fail(Errc::invalid,
                "replicator.heartbeat.interval.ms={} is too long; allowed: at most half of "
                "replicator.election.timeout.ms={}",
                to_millis(config.replicator.tuning.heartbeat_interval),
                to_millis(config.replicator.tuning.election_timeout));
  }
  return {};
}

// What no single key can say.
Result<void> check_together(const NodeConfig& config) {
  const auto own = config.voters.find(config.node);
  if ((own != config.voters.end()) != config.is_controller) {
    return fail(
        Errc::invalid,
        "process.roles={} of node.id={} contradicts controller.quorum.voters; allowed: "
        "exactly the voters are controllers",
        config.is_broker ? (config.is_controller ? "broker,controller" : "broker") : "controller",
        config.node);
  }
  if (own != config.voters.end() && own->second.port != config.peer_listener.port) {
    return fail(Errc::invalid,
                "peer.listener={} is not the port of node {} in controller.quorum.voters, which "
                "is {}; allowed: the same",
                config.peer_listener.to_string(), config.node, own->second.port);
  }
  const bool is_zk = config.design == "zk";
  if (is_zk) TRY_VOID(check_keeper(config));
  if (config.server.heartbeat_interval >= config.controller.session_timeout) {
    return fail(Errc::invalid,
                "broker.heartbeat.interval.ms={} is too long; allowed: less than "
                "{}={}",
                to_millis(config.server.heartbeat_interval),
                is_zk ? "zookeeper.session.timeout.ms" : "broker.session.timeout.ms",
                to_millis(config.controller.session_timeout));
  }
  if (config.consensus.heartbeat_interval >= config.consensus.election_timeout) {
    return fail(Errc::invalid,
                "controller.quorum.heartbeat.interval.ms={} is too long; allowed: less than "
                "controller.quorum.election.timeout.ms={}",
                to_millis(config.consensus.heartbeat_interval),
                to_millis(config.consensus.election_timeout));
  }
  if (config.replicator.has_groups()) TRY_VOID(check_groups(config));
  TRY_VOID(config.replication.validate());
  return config.controller.validate();
}

}  // namespace

Result<NodeConfig> make_config(const std::vector<Setting>& file,
                               const std::vector<Setting>& overrides) {
  TRY_VOID(check_once(overrides));
  std::map<std::string_view, const Setting*> given;
  for (const auto* settings : {&file, &overrides}) {
    for (const Setting& setting : *settings) given[setting.key] = &setting;
  }
  NodeConfig config;
  for (const Key& key : keys()) {
    const auto at = given.find(key.name);
    if (at == given.end()) {
      if (!key.fallback) {
        return fail(Errc::invalid, "{} is missing; allowed: {}", key.name, key.allowed);
      }
      CHECK_MSG(key.set(config, *key.fallback), key.name);
      continue;
    }
    const Setting& setting = *at->second;
    given.erase(at);
    if (!key.set(config, setting.value)) {
      return fail(Errc::invalid, "{}: {}={} is not allowed; allowed: {}", setting.place,
                  setting.key, setting.value, key.allowed);
    }
  }
  if (!given.empty()) {
    const Setting& setting = *given.begin()->second;
    return fail(Errc::invalid, "{}: {}={} is unknown; allowed are the keys that --help lists",
                setting.place, setting.key, setting.value);
  }
  if (config.design == "zk") config.controller.session_timeout = config.keeper.session_timeout;
  config.controller.groups_lead = config.replicator.has_groups();
  TRY_VOID(check_together(config));
  return config;
}

std::string config_help() {
  std::string text;
  for (const Key& key : keys()) {
    text += fmt::format("  {}={}\n      {}\n      Allowed: {}.\n", key.name,
                        key.fallback.value_or("(must be given)"), key.meaning, key.allowed);
  }
  return text;
}

}  // namespace qlab::broker
