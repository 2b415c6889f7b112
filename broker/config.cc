#include "broker/config.h"

#include <charconv>
#include <functional>
#include <limits>
#include <optional>

#include <fmt/ranges.h>

#include "broker/modules.h"
#include "common/check.h"
#include "runtime/real/transports.h"
#include "storage/topic_options.h"

namespace qlab::broker {
namespace {

using std::chrono::milliseconds;

// False: the value is not allowed.
using Set = std::function<bool(NodeConfig&, const std::string&)>;

struct Key {
  std::string_view name;
  std::optional<std::string> fallback;  // As it would stand in the file; nothing: must be given.
  std::string allowed;
  std::string_view meaning;
  Set set;
};

struct Bounds {
  std::int64_t fallback;
  std::int64_t min;
  std::int64_t max;
};

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

bool set_roles(NodeConfig& config, const std::string& text) {
  config.is_broker = text == "broker" || text == "broker,controller" || text == "controller,broker";
  config.is_controller = text != "broker";
  return config.is_broker || text == "controller";
}

bool set_voters(NodeConfig& config, const std::string& text) {
  config.voters.clear();
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
    if (!config.voters.emplace(NodeId{id}, std::move(endpoint)).second) return false;
  }
  return !config.voters.empty() && text.back() != ',';
}

constexpr std::int64_t int32_max = std::numeric_limits<std::int32_t>::max();

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

std::vector<Key> storage_keys() {
  using storage::Durability;
  return {
      word("engine", "buffered", storage_engines(), "How the partitions' logs reach the disk.",
           [](NodeConfig& c, const std::string& text) { c.engine = text; }),
      word("log.layout", "per_partition", log_layouts(),
           "How the logs of many partitions share the disk.",
           [](NodeConfig& c, const std::string& text) { c.layout = text; }),
      word("durability", "sync", {"none", "group", "sync"},
           "When an append counts: in the page cache, durable soon, or durable before the answer.",
           [](NodeConfig& c, const std::string& text) {
             c.replication.log.durability = text == "none"    ? Durability::none
                                            : text == "group" ? Durability::group
                                                              : Durability::sync;
           }),
      millis("durability.group.ms", {5, 1, 1000}, "With durability=group: the longest wait.",
             [](NodeConfig& c) -> Duration& { return c.replication.log.group_interval; }),
      number("num.shards", {1, 1, 64}, "Threads; each owns a part of the partitions.",
             [](NodeConfig& c, std::int64_t v) { c.shards = static_cast<std::size_t>(v); }),
      number("log.segment.bytes", {1 << 30, 1 << 20, 1 << 30}, "A log rolls beyond it.",
             [](NodeConfig& c, std::int64_t v) {
               c.replication.log.segment_bytes = static_cast<std::uint64_t>(v);
             }),
      number("log.index.interval.bytes", {4096, 0, int32_max}, "Bytes between two index entries.",
             [](NodeConfig& c, std::int64_t v) {
               c.replication.log.index_interval_bytes = static_cast<std::uint32_t>(v);
             }),
  };
}

std::vector<Key> file_keys() {
  return {
      word("log.preallocation", "none", storage::preallocation_names(),
           "How the file of a new segment gets its space.",
           [](NodeConfig& c, const std::string& text) {
             c.engine_options.preallocation = *storage::parse_preallocation(text);
           }),
      number("log.preallocate.bytes", {64 << 20, 1 << 20, 1 << 30}, "Size of a prepared file.",
             [](NodeConfig& c, std::int64_t v) {
               c.engine_options.prepared_bytes = static_cast<std::uint64_t>(v);
             }),
      number("log.preallocate.spares", {2, 0, 64}, "Prepared files that wait, of each shard.",
             [](NodeConfig& c, std::int64_t v) {
               c.engine_options.spares = static_cast<std::size_t>(v);
             }),
      number("log.open.files.max", {4000, 16, 1'000'000},
             "Segment files that a shard holds open; the least recently used is closed first.",
             [](NodeConfig& c, std::int64_t v) {
               c.layout_options.open_files_max = static_cast<std::size_t>(v);
             }),
      word("log.group.sync", "files", {"files", "filesystem"},
           "How many dirty logs are made durable: each file, or all by one syncfs.",
           [](NodeConfig& c, const std::string& text) {
             c.layout_options.group_sync = *storage::parse_group_sync(text);
           }),
      number("log.recovery.parallelism", {8, 1, 256}, "Logs that are recovered at a time.",
             [](NodeConfig& c, std::int64_t v) {
               c.layout_options.recovery_parallelism = static_cast<std::size_t>(v);
             }),
  };
}

// A time in milliseconds, or a size, of which -1 says that there is none.
std::vector<Key> cleaning_keys() {
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  using storage::LogOptions;
  const auto wall = [](std::string_view name, Bounds bounds, std::string_view meaning,
                       WallMillis LogOptions::*field) {
    return number(name, bounds, meaning, [field](NodeConfig& c, std::int64_t v) {
      c.replication.log.*field = WallMillis(v);
    });
  };
  constexpr std::int64_t day = 86'400'000;
  return {
      word("log.cleanup.policy", "delete",
           {"delete", "compact", "delete,compact", "compact,delete"},
           "What becomes of old records of a topic that does not say.",
           [](NodeConfig& c, const std::string& text) {
             c.replication.log.cleanup_policy = *storage::parse_cleanup_policy(text);
           }),
      wall("log.retention.ms", {7 * day, -1, most}, "Age at which a segment is deleted; -1: never.",
           &LogOptions::retention),
      number("log.retention.bytes", {-1, -1, most},
             "What is kept at least of a partition when segments are deleted; -1: all.",
             [](NodeConfig& c, std::int64_t v) { c.replication.log.retention_bytes = v; }),
      millis("log.retention.check.interval.ms", {300'000, 1, int32_max},
             "Between two looks at what may be deleted or compacted.",
             [](NodeConfig& c) -> Duration& { return c.replication.retention_check_interval; }),
      wall("log.roll.ms", {7 * day, 1, most}, "Age at which the active segment is rolled.",
           &LogOptions::segment_age_max),
      wall("log.cleaner.delete.retention.ms", {day, 0, most},
           "How long a tombstone outlives its first compaction.", &LogOptions::delete_retention),
      wall("log.cleaner.min.compaction.lag.ms", {0, 0, most},
           "Age below which nothing is compacted.", &LogOptions::compaction_lag_min),
      wall("log.cleaner.max.compaction.lag.ms", {most, 1, most},
           "Age at which records are compacted, whatever the ratio.",
           &LogOptions::compaction_lag_max),
      {"log.cleaner.min.cleanable.ratio", "0.5", "a number in [0, 1]",
       "Share of a log that was never compacted, beyond which it is.",
       [](NodeConfig& c, const std::string& text) {
         return storage::set_topic_option(c.replication.log, "min.cleanable.dirty.ratio", text)
             .has_value();
       }},
      number("log.cleaner.dedupe.buffer.size", {128 << 20, 1 << 20, std::int64_t{16} << 30},
             "Memory for the keys of one compaction, per shard.",
             [](NodeConfig& c, std::int64_t v) {
               c.replication.log.dedupe_buffer_bytes = static_cast<std::size_t>(v);
             }),
  };
}

std::vector<Key> topic_keys() {
  return {
      number("num.partitions", {1, 1, 10'000}, "Of a new topic that does not say.",
             [](NodeConfig& c, std::int64_t v) {
               c.controller.num_partitions = static_cast<std::int32_t>(v);
             }),
      number("default.replication.factor", {1, 1, 1000}, "Of a new topic that does not say.",
             [](NodeConfig& c, std::int64_t v) {
               c.controller.default_replication_factor = static_cast<std::int16_t>(v);
             }),
      number("min.insync.replicas", {1, 1, 1000}, "Of a topic that does not say.",
             [](NodeConfig& c, std::int64_t v) {
               c.replication.min_insync_replicas = static_cast<std::int32_t>(v);
               c.controller.min_insync_replicas = static_cast<std::int32_t>(v);
             }),
      word("unclean.leader.election.enable", "false", {"true", "false"},
           "Of a topic that does not say: rather lose records than wait for a replica in sync.",
           [](NodeConfig& c, const std::string& text) {
             c.controller.unclean_leader_election = text == "true";
           }),
      word("auto.create.topics.enable", "false", {"true", "false"},
           "Make a topic when a client asks for one that is not there.",
           [](NodeConfig& c, const std::string& text) {
             c.server.auto_create_topics = text == "true";
           }),
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

std::vector<Key> controller_keys() {
  return {
      word("consensus.module", "raft", consensus_modules(), "The protocol of the metadata log.",
           [](NodeConfig& c, const std::string& text) { c.consensus_module = text; }),
      millis("broker.session.timeout.ms", {9000, 100, 300'000},
             "A broker that was not heard of for so long is fenced.",
             [](NodeConfig& c) -> Duration& { return c.controller.session_timeout; }),
      millis("controller.quorum.election.timeout.ms", {1000, 10, 600'000},
             "T: a voter that hears no leader campaigns after a time uniform in [T, 2T).",
             [](NodeConfig& c) -> Duration& { return c.consensus.election_timeout; }),
      millis(
          "controller.quorum.fetch.timeout.ms", {0, 0, 600'000},
          "kraft: without an answer to a fetch for so long a voter suspects its leader; 0: as the "
          "election timeout.",
          [](NodeConfig& c) -> Duration& { return c.consensus.fetch_timeout; }),
      millis("controller.quorum.heartbeat.interval.ms", {200, 1, 60'000},
             "Between two heartbeats of the quorum's leader; kraft: how long a fetch is parked.",
             [](NodeConfig& c) -> Duration& { return c.consensus.heartbeat_interval; }),
      millis("controller.quorum.append.linger.ms", {0, 0, 1000},
             "How long the controller's decisions wait for company in one write.",
             [](NodeConfig& c) -> Duration& { return c.append_linger; }),
      word("auto.leader.rebalance.enable", "true", {"true", "false"},
           "Elect preferred leaders when too many partitions are led by others.",
           [](NodeConfig& c, const std::string& text) {
             c.controller.auto_rebalance = text == "true";
           }),
      number("leader.imbalance.check.interval.seconds", {300, 1, 1'000'000},
             "How often that is looked at.",
             [](NodeConfig& c, std::int64_t v) {
               c.controller.rebalance_interval = std::chrono::seconds(v);
             }),
      number("leader.imbalance.per.broker.percentage", {10, 0, 100},
             "Too many are more than so many in a hundred, over all brokers.",
             [](NodeConfig& c, std::int64_t v) {
               c.controller.imbalance_percentage = static_cast<std::int32_t>(v);
             }),
      number("metadata.log.max.record.bytes.between.snapshots",
             {20 << 20, 1000, std::int64_t{1} << 40},
             "An image of the metadata is made, and the log before it dropped, after so much more.",
             [](NodeConfig& c, std::int64_t v) {
               c.snapshot_interval_bytes = static_cast<std::uint64_t>(v);
             }),
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
                       server_keys, controller_keys, diagnosis_keys}) {
      for (Key& key : part()) table.push_back(std::move(key));
    }
    return table;
  }();
  return all;
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
  if (config.server.heartbeat_interval >= config.controller.session_timeout) {
    return fail(Errc::invalid,
                "broker.heartbeat.interval.ms={} is too long; allowed: less than "
                "broker.session.timeout.ms={}",
                to_millis(config.server.heartbeat_interval),
                to_millis(config.controller.session_timeout));
  }
  if (config.consensus.heartbeat_interval >= config.consensus.election_timeout) {
    return fail(Errc::invalid,
                "controller.quorum.heartbeat.interval.ms={} is too long; allowed: less than "
                "controller.quorum.election.timeout.ms={}",
                to_millis(config.consensus.heartbeat_interval),
                to_millis(config.consensus.election_timeout));
  }
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
