#pragma once
// What a node is told at start: a file of Kafka-style properties, and overrides from the command
// line.
//
// Tables (config_keys.h) hold every key with its default, its bounds and its meaning; parsing, the
// words of an error and the help text are all made from them.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/ids.h"
#include "common/logging.h"
#include "consensus/module.h"
#include "controller/options.h"
#include "replication/options.h"
#include "runtime/network.h"
#include "storage/engine_options.h"
#include "storage/layout_options.h"

namespace qlab::broker {

// How clients are served.
struct ServerOptions {
  bool auto_create_topics = false;                          // auto.create.topics.enable
  std::size_t message_bytes_max = 1'048'588;                // message.max.bytes
  std::size_t request_bytes_max = 104'857'600;              // socket.request.max.bytes
  std::size_t connections_max = 10'000;                     // max.connections
  Duration connection_idle_max = std::chrono::minutes(10);  // connections.max.idle.ms
  std::string rack;                                         // broker.rack; empty: none.
  bool rack_aware_reads = false;                            // replica.selector.class
  std::size_t fetch_sessions_max = 1000;  // max.incremental.fetch.session.cache.slots
  Duration heartbeat_interval = std::chrono::milliseconds(2000);  // broker.heartbeat.interval.ms
};

// What controller.design=zk needs to reach its keeper.
struct KeeperOptions {
  std::optional<runtime::Endpoint> listener;        // keeper.listener; of a controller.
  std::vector<runtime::Endpoint> connect;           // keeper.connect; of a broker not empty.
  Duration tick = std::chrono::milliseconds(2000);  // keeper.tick.ms
  Duration session_timeout = std::chrono::milliseconds(18000);  // zookeeper.session.timeout.ms
  std::size_t in_flight = 10;                                   // zookeeper.max.in.flight.requests
};

// How the copies of partitions are made.
struct ReplicatorOptions {
  std::string name;                           // replicator
  std::string module;                         // replicator.module; with replicator=consensus.
  consensus::Tuning tuning;                   // Of its groups.
  std::map<NodeId, runtime::Endpoint> peers;  // replicator.peers; besides the voters.
  std::uint64_t log_file_bytes = 32u << 20;   // replicator.log.file.bytes
  bool has_groups() const { return name == "consensus"; }
};

struct NodeConfig {
  NodeId node;
  std::string cluster_id;
  bool is_broker = true;
  bool is_controller = true;
  std::string log_dir;
  runtime::Endpoint listener;
  runtime::Endpoint peer_listener;
  std::map<NodeId, runtime::Endpoint> voters;  // Of the controller quorum, by their peer.listener.

  std::string engine;                     // Of the partitions' logs.
  std::string layout;                     // log.layout
  storage::EngineOptions engine_options;  // log.prealloc*; of the partitions' logs.
  storage::LayoutOptions layout_options;
  std::string design;            // Of the controller: who decides.
  std::string consensus_module;  // Of the metadata log, or of the keeper's.
  KeeperOptions keeper;
  std::size_t shards = 1;
  ServerOptions server;
  replication::ReplicationOptions replication;
  ReplicatorOptions replicator;
  controller::ControllerOptions controller;  // With the session timeout of the design.
  consensus::Tuning consensus;
  // metadata.log.max.record.bytes.between.snapshots
  std::uint64_t snapshot_interval_bytes = 20u << 20;
  Duration append_linger{};  // How long decisions of the controller wait for company.

  std::string transport;   // Between nodes.
  std::string trace_file;  // Empty: none.
  LogLevel log_level = LogLevel::info;
};

// One `key=value`, with the place it came from for error messages.
struct Setting {
  std::string key;
  std::string value;
  std::string place;  // As in "node.properties:3".
};

// Splits a properties file: `key=value`, `#` comments, blank lines.
// Errors: invalid, for another line, or a key that is there twice.
Result<std::vector<Setting>> parse_properties(std::string_view text, std::string_view file);
// The same for one `key=value` of the command line.
Result<Setting> parse_override(std::string_view text);

// Errors: invalid, when a key is there twice.
Result<void> check_once(const std::vector<Setting>& settings);

// Makes the config; an override replaces what the file says.
// Errors: invalid, naming the key, its value and what is allowed: unknown key, bad value, a key
// that is missing or overridden twice, values that contradict each other.
Result<NodeConfig> make_config(const std::vector<Setting>& file,
                               const std::vector<Setting>& overrides);

// Every key with its default, what is allowed and what it means.
std::string config_help();

}  // namespace qlab::broker
