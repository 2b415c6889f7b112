#pragma once
// All that ever happened in a simulated group, seen from outside with eyes on every replica. The
// invariants judge it after every step (invariants.h).

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "consensus/driver.h"
#include "sim/replica_log.h"

namespace qlab::sim {

// What happened since the last step, in order.
struct Fresh {
  struct Led {
    NodeId node;
    Epoch epoch;
  };
  struct Appended {
    NodeId node;
    ChainedEntry entry;
  };
  struct Applied {
    NodeId node;
    Epoch epoch;  // That the node was in: at least the one in which the entry was committed.
    ChainedEntry entry;
    std::optional<std::uint64_t> value;  // Of a data entry.
    std::uint64_t state = 0;             // Digest of the state machine behind it.
  };
  struct Restored {  // The state machine became an image, its own or a leader's.
    NodeId node;
    consensus::LogId last;
    std::uint64_t state = 0;
  };
  struct Committed {
    NodeId node;
    LogIndex before;  // Of this life of the node.
    LogIndex index;
  };
  struct Activated {
    NodeId node;
    Epoch epoch;
    LogIndex ready_at;
    LogIndex commit;  // As last told by that node.
  };
  struct Answered {
    std::uint64_t first_value;  // Adjacent values were proposed together.
    std::uint64_t count;
    consensus::ProposeResult result;
    LogIndex done_before;  // The last entry that any client had seen when it was proposed.
  };
  struct Read {
    NodeId node;
    LogIndex done_before;  // The last entry that any client had seen when the read began.
    LogIndex served_at;    // Applied when it was served.
    std::uint64_t state = 0;
  };
  struct Recovered {
    NodeId node;
    bool possible;  // As ReplicaLog::recover() says.
  };
  struct Refused {  // A replica that did not come up, or gave up, without an injected fault.
    NodeId node;
    std::string why;
  };
  std::vector<Led> led;
  std::vector<Appended> appended;
  std::vector<Applied> applied;
  std::vector<Restored> restored;
  std::vector<Committed> committed;
  std::vector<Activated> activated;
  std::vector<Answered> answered;
  std::vector<Read> reads;
  std::vector<Recovered> recovered;
  std::vector<Refused> refused;

  bool empty() const {
    return led.empty() && appended.empty() && applied.empty() && restored.empty() &&
           committed.empty() && activated.empty() && answered.empty() && reads.empty() &&
           recovered.empty() && refused.empty();
  }
};

// Who said first that entries are committed, and the configuration in which it counted.
struct Claim {
  NodeId node;
  consensus::Config config;
};

struct History {
  std::map<NodeId, ReplicaLog> logs;  // Of nodes that are down: as when they went down.
  std::map<consensus::ReplicaKey, ReplicaLog> wiped;  // What was on disks that are gone.
  std::map<NodeId, consensus::Config> configs;        // In force at each node.
  std::map<NodeId, consensus::LogId> configured_at;   // The entries of these; {0, 0}: none.
  // Configurations that nodes were asked for, numbered, and have not answered since they came up.
  std::map<std::pair<NodeId, std::uint64_t>, consensus::Config> asked;
  // Once witnesses: what their logs say may not be whole, and as anything else they are refused.
  std::set<consensus::ReplicaKey> bare;
  std::map<NodeId, DirectoryId> directories;  // Of the disk each node has now.

  std::map<Epoch, NodeId> leaders;  // Who led first in an epoch.
  // Of every entry that ever was in a log, by epoch and index.
  std::map<Epoch, std::unordered_map<std::int64_t, ChainedEntry>> entries;
  std::vector<CommittedEntry> committed;           // committed[i] has index i + 1.
  std::map<LogIndex, Claim> claims;                // By the last entry that a claim covers.
  std::map<std::uint64_t, LogIndex> value_at;      // Where a committed value stands.
  std::map<std::uint64_t, consensus::Fate> fates;  // Of answered values.
  LogIndex done;  // The last entry that any client has seen: acknowledged, or in a read.

  Fresh fresh;
  std::function<void(NodeId)>
      on_vote;  // That node is about to save an epoch or a vote. May be empty.

  // Counts, for people.
  std::uint64_t proposed = 0;
  std::uint64_t reads_served = 0;
  std::uint64_t images_installed = 0;
  std::uint64_t configs_changed = 0;
  std::uint64_t configs_asked = 0;

  void in_force(NodeId node, const consensus::Config& config, const consensus::LogId& at);
  bool is_bare(NodeId node) const;
  // {0, 0} is.
  bool is_committed(const consensus::LogId& id) const;
  // The node's disk is gone, and it gets another one.
  void wipe(NodeId node, DirectoryId disk);
  // The log of the replica that a member is; null when it never had one. One that was wiped is
  // judged by what it had.
  const ReplicaLog* log_of(const consensus::Member& member) const;
  // A node says that all up to `index` is committed, and is the first to do so.
  void claim(NodeId node, LogIndex index) {
    if (!claims.empty() && claims.rbegin()->first >= index) return;
    claims.emplace(index, Claim{node, configs[node]});
  }
};

}  // namespace qlab::sim
