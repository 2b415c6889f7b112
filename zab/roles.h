#pragma once
// What a node keeps while it leads (Leadership), or follows or observes (Session); either is lost
// when it looks again.

#include <deque>
#include <map>
#include <optional>

#include "zab/learner.h"

namespace qlab::zab {

enum class Phase : std::uint8_t { discovery, synchronisation, broadcast };

struct Proposed {
  consensus::RequestId request;
  consensus::LogId first;  // Its entries are adjacent: [first, last].
  consensus::LogId last;
  std::uint64_t bytes;
};

struct PendingRead {
  consensus::RequestId request;
  LogIndex index;       // To be applied before the read is served.
  std::uint64_t round;  // A quorum must answer this ping: nobody replaced us.
};

// A reconfiguration: an entry that needs quorums of both, then one of the new alone.
struct Change {
  std::optional<consensus::RequestId> request;  // None: an earlier leader began it.
  LogIndex ends_at;                             // The second entry; 0: not proposed yet.
};

// As seen by who leads, or is about to.
struct Leadership {
  Phase phase = Phase::discovery;
  Epoch epoch;  // Larger than any that a learner accepted.
  bool is_epoch_fixed = false;
  consensus::WriteSeq seq;   // Our own promise of the phase: accepted, or current epoch.
  Epoch history_epoch;       // currentEpoch when we were elected.
  consensus::LogId history;  // The initial history ends here.
  std::map<NodeId, Learner> learners;
  Time deadline;  // For a quorum to finish the phase; none in broadcast.
  Time ping_due;
  std::uint64_t round = 0;  // Of pings.
  std::deque<Proposed> proposals;
  std::deque<PendingRead> reads;
  std::optional<Change> change;
  std::uint64_t uncommitted_bytes = 0;
};

// As seen by who follows or observes.
struct Session {
  NodeId leader;
  SessionNumber number = 0;
  bool is_asked = false;              // FOLLOWERINFO was sent.
  std::optional<std::uint32_t> link;  // Of the leader's stream to us, from LEADERINFO on.
  Phase phase = Phase::discovery;
  bool is_acknowledged = false;  // NEWLEADER was.
  Epoch epoch;                   // From LEADERINFO on.
  LogIndex commit;               // Of the leader; applied when service begins.
  Time heard;
  std::optional<consensus::SnapshotMeta> image;  // That is being received.
  std::uint64_t position = 0;                    // Of it, stored.
};

// The latest of a peer's streams to us.
struct Inbound {
  std::uint32_t link = 0;
  SessionNumber asked = 0;  // In the last FOLLOWERINFO on it; its sessions are numbered from 1.
};

}  // namespace qlab::zab
