#pragma once
// What qlab-consensus-load can be asked to do: one table of flags.

#include <cstdint>
#include <string>
#include <vector>

#include "common/result.h"

namespace qlab::experiments {

struct ConsensusLoadOptions {
  std::string system = "ours";         // ours, etcd, zookeeper
  std::vector<std::string> endpoints;  // host:port; connection i goes to endpoint i modulo theirs.
  std::string output;                  // Directory of result.json; made when missing.
  std::int64_t connections = 1;
  std::int64_t window = 1;  // Requests without an answer, all connections together.
  std::int64_t bytes = 1024;
  double rate = 0;  // 0: a closed loop.
  double duration_s = 5;
  double warmup_s = 1;
  bool acks = false;
};

// Errors: invalid; names the flag, the value and what is allowed.
Result<ConsensusLoadOptions> parse_consensus_options(const std::vector<std::string>& words);
std::string consensus_help();

}  // namespace qlab::experiments
