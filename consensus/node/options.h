#pragma once
// What a consensus node is told on its command line: one table of flags with default, what is
// allowed and meaning; parsing, errors and help are made from it.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/ids.h"
#include "common/logging.h"
#include "consensus/module.h"
#include "runtime/network.h"

namespace qlab::consensus::node {

struct NodeOptions {
  NodeId id{0};
  std::string cluster_id = "consensus-node";
  std::map<NodeId, runtime::Endpoint> voters;  // All of them, by where nodes reach them.
  runtime::Endpoint client{"127.0.0.1", 0};
  std::string directory;
  std::string module = "raft";
  std::string engine = "direct";
  std::string preallocation = "recycled";
  std::string transport = "tcp";
  bool durable = true;
  std::string profile = "equal_budget";
  std::int64_t detection_ms = 500;  // Of equal_budget.
  std::int64_t linger_us = 0;
  std::int64_t snapshot_mib = 256;
  bool link_down_is_suspicion = true;
  bool pre_vote = true;
  std::int64_t seed = 0;  // 0: drawn from the system.
  std::string trace_file;
  bool trace_details = false;
  std::int64_t trace_entries_every = 0;
  LogLevel log_level = LogLevel::info;
};

// Errors: invalid, naming the flag, its value and what is allowed.
Result<NodeOptions> parse_options(const std::vector<std::string>& words);
std::string help();

// Timeouts and limits of a profile. as_shipped: those of the system whose protocol the module is
// (etcd 3.4, Kafka 3.9, ZooKeeper 3.8). equal_budget: silence is noticed after `detection_ms` by
// every module, with a heartbeat of a fifth of it.
Tuning tuning_of(const NodeOptions& options);

}  // namespace qlab::consensus::node
