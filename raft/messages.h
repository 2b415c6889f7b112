#pragma once
// Raft's messages as types, and their bytes.
//
// A consensus::Message carries kind and epoch; `head` holds the fields below in network order, and
// entries travel apart, so that bodies are shared and not copied: an image's piece and forwarded
// proposals travel as entries too. The epoch is the sender's, but for pre-votes: a request, and a
// reply that grants, name the epoch that the asker would campaign in.
//
// A reply names the directory it comes from: what a wiped disk says is another replica's word.

#include <string>
#include <variant>

#include "consensus/types.h"

namespace qlab::raft {

// Kinds on the wire: never reuse a number.
enum class Kind : std::uint16_t {
  vote_request = 1,
  vote_reply = 2,
  append_request = 3,
  append_reply = 4,
  heartbeat = 5,
  heartbeat_reply = 6,
  snapshot_request = 7,
  snapshot_reply = 8,
  timeout_now = 9,
  read_request = 10,
  read_reply = 11,
  forward_request = 12,
  forward_reply = 13,
};

// Names a question of one life of a node; a later one of the same life has a larger number.
struct Ticket {
  std::uint64_t life = 0;
  std::uint64_t number = 0;
  auto operator<=>(const Ticket&) const = default;
};

struct VoteRequest {
  bool pre_vote = false;  // Raft dissertation 9.6.
  bool transfer = false;  // The leader asked for this election (4.2.3): stickiness does not count.
  DirectoryId directory;  // Of the asker: with its node id, the replica that is voted for.
  consensus::LogId last;  // Of the asker's log.
};
struct VoteReply {
  bool pre_vote = false;  // Never counted as the other kind.
  bool granted = false;
  DirectoryId directory;
};
struct AppendRequest {
  consensus::LogId previous;  // The entry before the first one here.
  LogIndex commit;
  std::vector<consensus::Entry> entries;
};
struct AppendReply {
  bool accepted = false;
  LogIndex match;         // Accepted: the log is the leader's, and durable, up to here.
  LogIndex rejected;      // Refused: the index that did not match.
  consensus::LogId hint;  // Refused: the last entry here that may match.
  DirectoryId directory;
  bool bare = false;  // The log here has entries without bodies: it is, or was, a witness'.
};
// An empty append without a log check; also tells of a commit as soon as it is known.
struct Heartbeat {
  LogIndex commit;          // Never beyond what the receiver has acknowledged.
  std::uint64_t round = 0;  // To be answered with; 0: no answer wanted.
};
struct HeartbeatReply {
  std::uint64_t round = 0;
  DirectoryId directory;
};
// InstallSnapshot: a piece of the leader's image. Without bytes it offers the image, and asks how
// much of it is there.
struct SnapshotRequest {
  consensus::SnapshotMeta image;
  std::uint64_t position = 0;          // Of the piece; position + bytes <= image.size.
  std::shared_ptr<const Bytes> bytes;  // Never null.
};
struct SnapshotReply {
  consensus::LogId image;      // The last entry of the image that was asked about.
  std::uint64_t position = 0;  // The next byte wanted; all before it is durable.
  DirectoryId directory;
};
// The leader hands over: campaign at once (dissertation 3.10).
struct TimeoutNow {};
// A follower asks its leader up to where to apply before it serves a read (6.4).
struct ReadRequest {
  Ticket ticket;
};
struct ReadReply {
  Ticket ticket;
  bool served = false;
  LogIndex index;
};
// A follower hands a proposal to its leader.
struct ForwardRequest {
  Ticket ticket;
  std::vector<std::shared_ptr<const Bytes>> bodies;  // At least one; none is null.
};
struct ForwardReply {
  Ticket ticket;
  consensus::Fate fate = consensus::Fate::unknown;
  consensus::LogId at;
};
using Payload = std::variant<VoteRequest, VoteReply, AppendRequest, AppendReply, Heartbeat,
                             HeartbeatReply, SnapshotRequest, SnapshotReply, TimeoutNow,
                             ReadRequest, ReadReply, ForwardRequest, ForwardReply>;

// The protocol's own word: append_request, ...
std::string_view name_of(const Payload& payload);

consensus::Message encode(Epoch epoch, const Payload& payload);

// Errors: corrupt, when the kind is not known, the head is too short or too long, a number is out
// of its range, entries do not follow each other within the message's epoch, or a configuration is
// none.
Result<Payload> decode(const consensus::Message& message);

// One line for scripts and people: `append_request epoch=2 previous=1/4 commit=3 entries=2/5`.
std::string describe(const consensus::Message& message);

}  // namespace qlab::raft
