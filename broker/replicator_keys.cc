#include "broker/config_keys.h"
#include "broker/modules.h"

namespace qlab::broker {

std::vector<Key> replicator_keys() {
  return {
      word("replicator", "isr", replicators(),
           "How the copies of partitions are made, the same on all nodes of a cluster: followers "
           "fetch and the in-sync replicas count (isr), or each partition is a consensus group.",
           [](NodeConfig& c, const std::string& text) { c.replicator.name = text; }),
      word("replicator.module", "raft", group_modules(),
           "With replicator=consensus: the protocol of the groups.",
           [](NodeConfig& c, const std::string& text) { c.replicator.module = text; }),
      millis("replicator.election.timeout.ms", {1000, 10, 600'000},
             "With replicator=consensus: T; a replica that hears no leader campaigns after a time "
             "uniform in [T, 2T).",
             [](NodeConfig& c) -> Duration& { return c.replicator.tuning.election_timeout; }),
      millis("replicator.heartbeat.interval.ms", {200, 1, 60'000},
             "With replicator=consensus: between two messages of heartbeats to another broker, of "
             "all groups.",
             [](NodeConfig& c) -> Duration& { return c.replicator.tuning.heartbeat_interval; }),
      number("replicator.log.file.bytes", {32 << 20, 1 << 10, 1 << 30},
             "With replicator=consensus: the log of a shard's groups is compacted beyond it.",
             [](NodeConfig& c, std::int64_t v) {
               c.replicator.log_file_bytes = static_cast<std::uint64_t>(v);
             }),
      {"replicator.peers", "", "id@host:port[,id@host:port...], each id once, or nothing",
       "With replicator=consensus: the brokers besides the voters, with their peer.listener.",
       [](NodeConfig& c, const std::string& text) { return set_nodes(c.replicator.peers, text); }},
  };
}

}  // namespace qlab::broker
