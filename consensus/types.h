#pragma once
// The values that consensus modules and their driver share.

#include <memory>
#include <optional>
#include <vector>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/ids.h"

namespace qlab::consensus {

// A node with its disk: a wiped directory makes another replica of the same node (KIP-853).
struct ReplicaKey {
  NodeId id;
  DirectoryId directory;
  auto operator<=>(const ReplicaKey&) const = default;
};

// Position of an entry. zxid == (epoch, index - first index of the epoch).
struct LogId {
  Epoch epoch;
  LogIndex index;
  auto operator<=>(const LogId&) const = default;
};

enum class EntryKind : std::uint8_t { data = 0, no_op = 1, config = 2, control = 3 };

struct Entry {
  LogId id;
  EntryKind kind = EntryKind::data;
  std::shared_ptr<const Bytes> body;  // Never null; shared between log, messages and state machine.
};

// What a replica must remember across a crash besides its log. One atomic record.
struct HardState {
  Epoch epoch;                     // Raft currentTerm; KRaft quorum epoch; ZAB acceptedEpoch.
  Epoch synced_epoch;              // ZAB currentEpoch (f.p); equal to epoch elsewhere.
  std::optional<ReplicaKey> vote;  // For whom we voted in `epoch`.
  std::optional<NodeId> leader;    // KRaft: the leader known in `epoch`.
  bool operator==(const HardState&) const = default;
};

enum class MemberRole : std::uint8_t {
  voter = 0,
  observer = 1,  // Raft's learner: is fed, counts for nothing.
  witness = 2,   // Votes and acknowledges, keeps no bodies, never leads.
};
struct Member {
  NodeId id;
  MemberRole role = MemberRole::voter;
  DirectoryId directory = {};  // Whose disk; zero: any (a configuration written by hand).
  // ZooKeeper's hierarchical quorums: more than half of the weight in more than half of the groups
  // that have any. All in one group with one weight: a majority.
  std::uint32_t weight = 1;
  std::uint32_t group = 0;
  auto operator<=>(const Member&) const = default;
};
struct Config {
  std::vector<Member> members;  // Sorted by id, each once.
  // Not empty: the change from these to `members` is under way, and a quorum of both is needed
  // (Raft, joint consensus).
  std::vector<Member> outgoing = {};
  // How many members elect and commit; 0: a majority. Together they exceed the number of voters
  // (Flexible Paxos).
  std::uint32_t election_quorum = 0;
  std::uint32_t commit_quorum = 0;
  bool operator==(const Config&) const = default;
};

// An image of the state after `last` was applied. It stands for the log up to there.
struct SnapshotMeta {
  LogId last;              // {0, 0}: there is none.
  Config config;           // In force at `last`.
  std::uint64_t size = 0;  // Bytes of the image.
  bool operator==(const SnapshotMeta&) const = default;
};

// A message between two modules of the same kind. `kind` and `head` are the module's own (its
// messages.h); entries travel apart so that their bodies are shared and not copied.
struct Message {
  std::uint16_t kind = 0;
  Epoch epoch;
  Bytes head;
  std::vector<Entry> entries;
};

// Counts the writes a module asked for, per node, from 1; 0 means durable already. Completions name
// it and never an index: an index plus a truncation is an ABA bug.
using WriteSeq = StrongId<struct WriteSeqTag, std::uint64_t>;
using RequestId = StrongId<struct RequestIdTag, std::uint64_t>;

// What became of a proposal.
enum class Fate : std::uint8_t {
  committed,
  rejected,    // Not our turn: nothing was appended.
  superseded,  // Appended, then overwritten by another leader: it did not happen.
  unknown,     // Appended, then leadership was lost: it may or may not happen.
  overloaded,  // Too much in flight: nothing was appended.
};

}  // namespace qlab::consensus
