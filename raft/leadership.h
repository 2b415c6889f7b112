#pragma once
// What a node holds only while it leads, and what it waits for as a follower.

#include <deque>
#include <map>
#include <optional>

#include "consensus/module.h"
#include "raft/messages.h"
#include "raft/progress.h"

namespace qlab::raft {

// Whoever asked through another node.
struct Asker {
  NodeId node;
  Ticket ticket;
};

struct Proposal {
  consensus::RequestId request;
  consensus::LogId first;  // Its entries are adjacent: [first, last].
  consensus::LogId last;
  std::uint64_t bytes = 0;
  std::optional<Asker> asker = {};  // Forwarded by it; then `request` means nothing.
};

struct PendingRead {
  consensus::RequestId request;
  LogIndex index;           // To be applied before the read is served.
  std::uint64_t round = 0;  // A quorum must answer this heartbeat round: nobody replaced us.
  std::optional<Asker> asker = {};
};

// A change of the configuration (dissertation 4): its new voters catch up, then its entries follow.
struct Change {
  consensus::RequestId request;
  consensus::Config target;
  Time began;
  int round = 0;       // Of catching up (4.2.1).
  LogIndex round_end;  // The log's end when the round began.
  Time round_began;
  std::optional<consensus::LogId> entry;  // The last one appended for it.
};

struct Leadership {
  std::map<NodeId, Progress> peers;
  Time heartbeat_due;
  LogIndex epoch_start;    // Our no-op.
  bool activated = false;  // epoch_start is committed.
  std::deque<Proposal> proposals;
  std::uint64_t uncommitted_bytes = 0;

  std::deque<PendingRead> reads;                      // Ascending by round.
  std::uint64_t round = 0;                            // The last heartbeat round sent.
  std::deque<std::pair<std::uint64_t, Time>> rounds;  // Sent, and not answered by a quorum.
  std::optional<Time> lease_from;                     // When a round that was answered was sent.
  bool lease_lost = false;                            // For good: we asked for an election.
  std::optional<Change> change;
};

// Leadership is being handed over (3.10).
struct Handover {
  consensus::RequestId request;
  NodeId to;
  bool named;  // By who asked: no other will do.
  Time deadline;
  bool asked = false;  // TimeoutNow was sent.
};

// Asked of the leader of this epoch, and not answered yet.
struct Question {
  consensus::RequestId request;
  Time deadline;
  std::uint64_t bytes = 0;
};

}  // namespace qlab::raft
