#pragma once
// KRaft's messages as types, and their bytes.
//
// A consensus::Message carries kind and epoch, the sender's own; `head` holds the fields below in
// network order, and the entries of a fetch response travel apart. Names and fields are KRaft's;
// the fields that it has no need of, because each of its connections answers in order, say `ours`.
//
// Source: KIP-595 (Vote, BeginQuorumEpoch, EndQuorumEpoch, Fetch), KIP-630 (FetchSnapshot), KIP-853
// (replica keys), KIP-996 (pre-vote), KIP-1166 (the high watermark in a Fetch).

#include <string>
#include <variant>

#include "consensus/types.h"

namespace qlab::raft::kraft {

// Kinds on the wire: never reuse a number.
enum class Kind : std::uint16_t {
  vote = 1,
  vote_response = 2,
  begin_quorum_epoch = 3,
  begin_quorum_epoch_response = 4,
  end_quorum_epoch = 5,
  end_quorum_epoch_response = 6,
  fetch = 7,
  fetch_response = 8,
  fetch_snapshot = 9,
  fetch_snapshot_response = 10,
};

// Ours: which request an answer is to, where messages may be lost, doubled or overtaken. A session
// is one life of a replica; its requests are numbered.
struct Correlation {
  std::uint64_t session = 0;
  std::uint64_t number = 0;
  bool operator==(const Correlation&) const = default;
};

struct Vote {
  Correlation correlation;
  bool pre_vote = false;
  DirectoryId candidate;  // Of the asker: with its node id, the replica that is voted for.
  DirectoryId voter;      // Whose vote is asked for; zero: that node's, whatever its disk.
  consensus::LogId last;  // Of the asker's log.
};
struct VoteResponse {
  Correlation correlation;
  bool pre_vote = false;  // Never counted as the other kind.
  bool granted = false;
  std::optional<NodeId> leader;  // Known in the epoch of the message.
};
// The sender leads the epoch of the message.
struct BeginQuorumEpoch {
  DirectoryId voter;  // As in Vote.
};
struct BeginQuorumEpochResponse {
  std::optional<NodeId> leader;
};
// The sender led the epoch of the message and does no more.
struct EndQuorumEpoch {
  std::vector<consensus::ReplicaKey> preferred_successors;  // Best first.
};
struct EndQuorumEpochResponse {};
// Asks for what follows, and acknowledges what precedes: the asker has everything before `next`
// durably.
struct Fetch {
  Correlation correlation;
  DirectoryId replica;
  LogIndex next;             // >= 1
  Epoch last_fetched_epoch;  // Of entry next - 1; 0 when there is none.
  LogIndex high_watermark;   // Known to the asker.
  std::uint64_t round = 0;   // Ours: the latest that the leader told in this epoch; see reads.cc.
};
enum class FetchStatus : std::uint8_t {
  ok = 0,
  not_leader = 1,  // Or fenced: the epoch of the message tells.
};
struct FetchResponse {
  Correlation correlation;
  FetchStatus status = FetchStatus::ok;
  std::optional<NodeId> leader;
  LogIndex high_watermark;
  std::uint64_t round = 0;
  // At most one of these three is there.
  std::optional<consensus::LogId> diverging_epoch;  // The epoch and its end in the leader's log.
  std::optional<consensus::LogId> snapshot;         // Where to begin: what was asked for is gone.
  std::vector<consensus::Entry> entries;
};
struct FetchSnapshot {
  Correlation correlation;
  DirectoryId replica;
  consensus::LogId snapshot;
  std::uint64_t position = 0;
};
struct FetchSnapshotResponse {
  Correlation correlation;
  bool found = false;  // No: another image is there, or the position lies outside of it.
  std::optional<NodeId> leader;
  consensus::LogId snapshot;
  std::uint64_t size = 0;  // Of the whole image, in bytes.
  std::uint64_t position = 0;
  Bytes config;  // In force at the image's end: consensus/config.h. Empty when not found.
  Bytes bytes;
};
using Payload = std::variant<Vote, VoteResponse, BeginQuorumEpoch, BeginQuorumEpochResponse,
                             EndQuorumEpoch, EndQuorumEpochResponse, Fetch, FetchResponse,
                             FetchSnapshot, FetchSnapshotResponse>;

consensus::Message encode(Epoch epoch, Payload payload);

// Errors: corrupt, when the kind is not known, the head is too short or too long, a number is out
// of its range, or entries do not follow each other within the message's epoch.
Result<Payload> decode(const consensus::Message& message);

// One line for scripts and people: `fetch epoch=2 next=5 last_epoch=1 high_watermark=4`.
std::string describe(const consensus::Message& message);

}  // namespace qlab::raft::kraft
