#pragma once
// ZAB's messages as types, and their bytes.
//
// Names are the paper's and ZooKeeper's. A consensus::Message carries kind and epoch; `head` holds
// the fields below in the order of their declaration and in network order; entries travel apart.
// The epoch is that of the session; before there is one, the sender's acceptedEpoch.
//
// A session is what a learner (follower or observer) has with its leader. The learner counts its
// sessions, and every message of one names it: what is left over from an earlier one is turned
// away. ZooKeeper has a TCP connection for it.

#include <string>
#include <variant>

#include "consensus/types.h"

namespace qlab::zab {

using SessionNumber = std::uint32_t;

enum class PeerState : std::uint8_t { looking = 0, following = 1, leading = 2, observing = 3 };
std::string_view name_of(PeerState state);

// Whom one would have lead, and why: last epoch, last entry, whether it votes itself, id, in this
// order of weight.
struct Vote {
  NodeId leader = no_node;  // Nobody: an observer asks, and has no vote.
  consensus::LogId last;    // Of the leader's log.
  Epoch peer_epoch;         // The leader's currentEpoch.
  // It has no vote in its own configuration, only in one that others still go by: it leads if
  // nobody else has what it has, until a quorum has it.
  bool is_left_out = false;
  auto operator<=>(const Vote&) const = default;
};

// Phase 0: a node's vote, and whether it still looks.
struct Notification {
  std::uint64_t round = 0;  // logicalclock: counts elections.
  Vote vote;
  PeerState state = PeerState::looking;
  bool is_reply = false;            // And wants none.
  consensus::LogId config_at = {};  // Of the latest configuration that the sender knows.
  std::optional<consensus::Config> config = {};  // That one, to who knows another.
};
// Phase 1. FOLLOWERINFO and OBSERVERINFO: CEPOCH of the paper.
struct FollowerInfo {
  SessionNumber session = 0;
  Epoch accepted_epoch;
};
// NEWEPOCH of the paper: the message's epoch is the one proposed.
struct LeaderInfo {
  SessionNumber session = 0;
};
struct AckEpoch {
  SessionNumber session = 0;
  bool again = false;  // Accepted in an earlier session: counts for no quorum.
  Epoch current_epoch;
  consensus::LogId last;
};
// Phase 2: what the learner lacks, and what it has too much.
struct Trunc {
  SessionNumber session = 0;
  consensus::LogId to;  // The last entry to keep.
};
struct Diff {
  SessionNumber session = 0;
  consensus::LogId previous;  // The entry before the first one here.
  std::vector<consensus::Entry> entries;
};
struct Snap {
  SessionNumber session = 0;
  consensus::SnapshotMeta image;
  std::uint64_t position = 0;
  Bytes bytes;
};
// Paces the chunks of an image. (ZooKeeper leaves that to TCP.)
struct SnapAck {
  SessionNumber session = 0;
  std::uint64_t position = 0;  // Stored up to here.
};
struct NewLeader {
  SessionNumber session = 0;
  consensus::LogId last;  // Of the history that is to be acknowledged.
};
struct AckNewLeader {
  SessionNumber session = 0;
};
struct UpToDate {
  SessionNumber session = 0;
  LogIndex commit;
};
// Phase 3.
struct Proposal {
  SessionNumber session = 0;
  consensus::LogId previous;
  std::vector<consensus::Entry> entries;
};
// Also of a Diff and an Inform, where it only frees the window.
struct Ack {
  SessionNumber session = 0;
  LogIndex up_to;
};
struct Commit {
  SessionNumber session = 0;
  LogIndex up_to;
};
// A new configuration is committed, and `designated` is to lead in it.
struct CommitAndActivate {
  SessionNumber session = 0;
  LogIndex up_to;
  NodeId designated;
};
// Proposal and commit in one, for observers.
struct Inform {
  SessionNumber session = 0;
  consensus::LogId previous;
  std::vector<consensus::Entry> entries;
};
struct Ping {
  SessionNumber session = 0;
  std::uint64_t round = 0;
};
struct PingReply {
  SessionNumber session = 0;
  std::uint64_t round = 0;
};

// In the order of their kinds on the wire, from 1: never reuse a number.
using Payload = std::variant<Notification, FollowerInfo, LeaderInfo, AckEpoch, Trunc, Diff, Snap,
                             SnapAck, NewLeader, AckNewLeader, UpToDate, Proposal, Ack, Commit,
                             CommitAndActivate, Inform, Ping, PingReply>;

consensus::Message encode(Epoch epoch, Payload payload);

// Errors: corrupt, when the kind is not known, the head is too short or too long, a number is out
// of its range, or entries do not follow each other within the message's epoch.
Result<Payload> decode(const consensus::Message& message);

// One line for scripts and people: `proposal epoch=2 session=1 previous=2/4 entries=2/5`.
std::string describe(const consensus::Message& message);

}  // namespace qlab::zab
