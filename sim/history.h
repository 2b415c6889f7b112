#pragma once
// All that ever happened in a simulated group, seen from outside with eyes on every replica. The
// invariants judge it after every step (invariants.h).

#include <map>
#include <optional>
#include <string>
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
  };
  struct Committed {
    NodeId node;
    LogIndex before;  // Of this life of the node.
    LogIndex index;
  };
  struct Answered {
    std::uint64_t first_value;  // Adjacent values were proposed together.
    std::uint64_t count;
    consensus::ProposeResult result;
  };
  struct Read {
    NodeId node;
    LogIndex acked_before;  // The last entry whose proposer knew of its commit when the read began.
    LogIndex served_at;     // Applied when it was served.
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
  std::vector<Committed> committed;
  std::vector<Answered> answered;
  std::vector<Read> reads;
  std::vector<Recovered> recovered;
  std::vector<Refused> refused;

  bool empty() const {
    return led.empty() && appended.empty() && applied.empty() && committed.empty() &&
           answered.empty() && reads.empty() && recovered.empty() && refused.empty();
  }
};

struct CommittedEntry {
  ChainedEntry entry;
  Epoch known_in;  // Of who applied it first: at least the epoch in which it was committed.
  std::optional<std::uint64_t> value;
};

struct History {
  std::vector<NodeId> voters;
  std::map<NodeId, ReplicaLog> logs;  // Of nodes that are down: as when they went down.

  std::map<Epoch, NodeId> leaders;                   // Who led first in an epoch.
  std::map<consensus::LogId, std::uint64_t> chains;  // Of every entry that ever was in a log.
  std::vector<CommittedEntry> committed;             // committed[i] has index i + 1.
  std::map<std::uint64_t, LogIndex> value_at;        // Where a committed value stands.
  std::map<std::uint64_t, consensus::Fate> fates;    // Of answered values.
  LogIndex acked;                                    // The last entry that a proposer knows of.

  Fresh fresh;

  // Counts, for people.
  std::uint64_t proposed = 0;
  std::uint64_t reads_served = 0;
};

}  // namespace qlab::sim
