#pragma once
// Raft's messages as types, and their bytes.
//
// A consensus::Message carries kind and epoch; `head` holds the fields below in network order, and
// entries travel apart. The epoch is the sender's, but for pre-votes: a request, and a reply that
// grants, name the epoch that the asker would campaign in.

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
};

struct VoteRequest {
  bool pre_vote = false;  // Raft dissertation 9.6.
  DirectoryId directory;  // Of the asker: with its node id, the replica that is voted for.
  consensus::LogId last;  // Of the asker's log.
};
struct VoteReply {
  bool pre_vote = false;  // Never counted as the other kind.
  bool granted = false;
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
};
// An empty append without a log check; also tells of a commit as soon as it is known.
struct Heartbeat {
  LogIndex commit;          // Never beyond what the receiver has acknowledged.
  std::uint64_t round = 0;  // To be answered with; 0: no answer wanted.
};
struct HeartbeatReply {
  std::uint64_t round = 0;
};
using Payload =
    std::variant<VoteRequest, VoteReply, AppendRequest, AppendReply, Heartbeat, HeartbeatReply>;

consensus::Message encode(Epoch epoch, const Payload& payload);

// Errors: corrupt, when the kind is not known, the head is too short or too long, a number is out
// of its range, or entries do not follow each other within the message's epoch.
Result<Payload> decode(const consensus::Message& message);

// One line for scripts and people: `append_request epoch=2 previous=1/4 commit=3 entries=2/5`.
std::string describe(const consensus::Message& message);

}  // namespace qlab::raft
