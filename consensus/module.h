#pragma once
// The seam of agreement: a consensus protocol as a deterministic state machine.
//
// step(now, input) appends effects, in order, to a list; the driver carries them out. A module does
// no I/O, has no threads, reads no clock and draws randomness only from the generator handed in. So
// the same bytes run over real disks and sockets and in the simulator, and a run is the sequence of
// its inputs.
//
// The one durability rule: an effect that others can see names the write that must be durable first
// (`after`). The driver holds it back until then. What is not held back is the fsync policy, and it
// is visible here as data. And a crash keeps a prefix of the writes: none survives without all that
// came before it, so a module orders them (ZAB: history, then currentEpoch) by asking in order. Of
// the last one it may keep a part: of an append the first entries, and a truncation may have
// dropped only the last ones.
//
// Links are FIFO in each direction. The two directions have numbers of their own: Receive.link
// counts the peer's streams to us, LinkUp.link ours to it. A Send belongs to the stream that was up
// when it was asked for, and dies with it, also while it waits for its write.
//
// How the three protocols use it: docs/consensus.md. Scripts that were written against it before it
// was frozen: raft/testdata (Raft, KRaft) and zab/testdata.

#include <memory>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "common/prng.h"
#include "consensus/types.h"

namespace qlab::consensus {

// The log under every module. Owned and written by the driver; a module reads it and asks for
// changes by effects.
// What a step asks for is visible only after it (consensus/staged_log.h bridges the step itself).
class LogView {
 public:
  virtual ~LogView() = default;
  // The newest image here; everything before first() is in it, and more may be.
  virtual const SnapshotMeta& snapshot() const = 0;
  virtual LogIndex first() const = 0;  // Of the oldest entry kept; last() + 1 when there is none.
  virtual LogId last() const = 0;      // Appended, not necessarily durable; {0, 0} at first.
  // Epoch of an entry in [first() - 1, last()]; nothing outside.
  virtual std::optional<Epoch> epoch_of(LogIndex index) const = 0;
  // The largest epoch <= `epoch` in the log, and its last index. Epochs before that of entry
  // first() - 1 are forgotten: then that entry, if it is of `epoch` or before, else {0, 0}: none.
  // Serves Raft's fast
  // backtracking, KRaft's divergence check and ZAB's TRUNC alike.
  virtual LogId end_of_epoch(Epoch epoch) const = 0;
  // Entries from `from`, at most `bytes_max` of bodies but at least one if there is one.
  virtual std::vector<Entry> read(LogIndex from, std::size_t bytes_max) const = 0;
};

// Protocol timing and limits. Deadlines, not ticks.
struct Tuning {
  Duration election_timeout =
      std::chrono::milliseconds(1000);  // T: actual timeouts are uniform in [T, 2T).
  Duration election_spread{};  // S: where it is not 0, actual timeouts are uniform in [T, T + S).
  Duration heartbeat_interval = std::chrono::milliseconds(200);  // < election_timeout.
  std::size_t batch_bytes_max = 1u << 20;                        // Bodies in one message.
  std::size_t inflight_messages_max = 64;                        // Unanswered appends to one peer.
  std::size_t uncommitted_bytes_max = 64u << 20;  // Beyond it proposals are overloaded.
  std::size_t inflight_bytes_max = 16u << 20;     // Bodies in unanswered appends to one peer.
  std::size_t snapshot_chunk_bytes = 1u << 20;
  // KRaft: without an answer to a fetch for that long a follower suspects its leader. 0: as the
  // election timeout. A fetch with nothing to answer is parked for a fraction of it.
  Duration fetch_timeout{};
  // ZAB: how long discovery and synchronisation may take, how long a learner may be silent, and how
  // long a vote must stand before it counts. 0: a multiple of the election timeout.
  Duration init_limit{};
  Duration sync_limit{};
  Duration finalize_wait{};
  // Serve reads without a round while the last one is younger than the election timeout less the
  // drift that two clocks may gather in it (Raft dissertation 6.4.1).
  bool lease_reads = false;
  std::uint32_t clock_drift_ppm = 1000;  // Parts in a million by which two clocks may differ.
  bool forward_proposals = false;        // A follower hands proposals to its leader.
  bool pre_vote = true;
  bool check_quorum = true;
  // A broken link to the leader makes followers campaign at once (with jitter) instead of waiting
  // for the timeout.
  bool link_down_is_suspicion = false;
};

// What the driver found on the disk at start.
struct Recovery {
  HardState hard_state;
  Config config;     // As of the last config entry, or of the snapshot, or as configured.
  LogIndex applied;  // The state machine already has everything up to here; 0: nothing.
  Config base = {};  // What the config entries behind the image change: the image's, or as
                     // configured. In force again when they are truncated.
};

namespace in {
struct Timer {};  // now >= next_deadline()
struct Receive {
  NodeId from;
  std::uint32_t link = 0;
  std::shared_ptr<const Message> message;
};
struct LinkUp {
  NodeId peer;
  std::uint32_t link = 0;
};
struct LinkDown {
  NodeId peer;
  std::uint32_t link = 0;
};
struct WriteDone {
  WriteSeq up_to;  // All writes with seq <= up_to are durable. A failed write never gets here: the
                   // driver stops.
};
struct Applied {
  LogIndex up_to;
};
struct Propose {
  RequestId request;
  std::vector<std::shared_ptr<const Bytes>> bodies;  // One entry each, adjacent.
  std::optional<Epoch> expect_epoch;                 // Rejected unless we lead in just this epoch.
};
struct Read {
  RequestId request;
};
// Make `target` the configuration. Its outcome comes when it is in force and nothing of the old one
// is needed any more.
struct Reconfigure {
  RequestId request;
  Config target;
};
// Hand leadership to a voter; no_node: to whoever is best.
struct Transfer {
  RequestId request;
  NodeId to;
};
// The driver made an image: LogView::snapshot() has grown, and first() may have.
struct SnapshotTaken {};
// What a ReadSnapshot asked for.
struct SnapshotChunk {
  NodeId for_peer;
  LogId snapshot;
  std::uint64_t position = 0;
  // Null: that image is gone. LogView::snapshot() shows the newer one, or does when SnapshotTaken
  // comes: to ask for the same one again before that is to ask for ever.
  std::shared_ptr<const Bytes> bytes;
};
// An InstallSnapshot is durable, and the state machine is what it says.
struct SnapshotInstalled {
  LogId last;
};
struct Resign {
  Epoch epoch;  // Only if we lead in it.
};
}  // namespace in
using Input = std::variant<in::Timer, in::Receive, in::LinkUp, in::LinkDown, in::WriteDone,
                           in::Applied, in::Propose, in::Read, in::Reconfigure, in::Transfer,
                           in::Resign, in::SnapshotTaken, in::SnapshotChunk, in::SnapshotInstalled>;

namespace out {
struct Append {
  WriteSeq seq;
  std::vector<Entry> entries;  // The first follows the last; in LogView when the step's effects
                               // have been taken.
};
struct Truncate {
  WriteSeq seq;
  LogIndex from;  // Drops [from, last]; in LogView when the step's effects have been taken.
};
struct SaveHardState {
  WriteSeq seq;
  HardState state;
};
// Asks for a piece of the newest image, for a peer: in::SnapshotChunk comes, in the order asked.
struct ReadSnapshot {
  NodeId for_peer;
  LogId snapshot;
  std::uint64_t position = 0;
  std::size_t count = 0;
};
// Keeps a piece of a leader's image. One at position 0 begins it anew.
struct StoreSnapshot {
  WriteSeq seq;
  SnapshotMeta meta;
  std::uint64_t position = 0;
  std::shared_ptr<const Bytes> bytes;
};
// The image is whole: it takes the place of the log up to meta.last; what follows there stays if
// the log has that very entry, and goes if not. In LogView when the step's effects have been taken.
// Requires: meta.last lies behind all that is committed; in::SnapshotInstalled has come for the one
// before.
struct InstallSnapshot {
  WriteSeq seq;
  SnapshotMeta meta;
};
struct Send {
  NodeId to;
  std::shared_ptr<const Message> message;
  WriteSeq after;  // Not before this write is durable. One that waits for less may overtake it.
};
// Ends our stream to the peer, which comes up anew with the next number. The peer sees another
// Receive.link with our next message, and a session that began on the old one is over.
struct CloseLink {
  NodeId peer;
};
struct Commit {
  LogIndex up_to;  // The state machine may apply up to here.
  WriteSeq after;
};
// Of a proposal or a reconfiguration; of a transfer (committed: who was named leads, or anybody
// else when nobody was); of a read that will not be served (rejected).
struct Outcome {
  RequestId request;
  Fate fate = Fate::unknown;
  LogId at;                      // Of the last entry proposed, when committed.
  std::optional<NodeId> hint;    // Who leads, when rejected and known.
  std::string_view reason = {};  // Why it was rejected, when not for want of leadership; static.
};
struct ReadReady {
  RequestId request;
  LogIndex wait_applied;  // Serve once this is applied: then the read is linearizable.
};
// We suspect that there is no leader, and ask for votes in `epoch`, or (pre-vote) whether it would
// be worth while.
struct ElectionStarted {
  Epoch epoch;
  std::string_view reason;  // election_timeout, link_down, ...; static storage.
};
struct LeaderKnown {
  Epoch epoch;
  std::optional<NodeId> leader;  // Nothing: nobody is known in this epoch yet.
};
// We lead `epoch` and everything up to `ready_at` is committed: a primary-backup service may start
// to decide once it has applied it. Sent after the Commit that covers ready_at, which is the first
// entry of our own epoch (Raft, KRaft) or the last of the history a quorum has synced (ZAB).
struct Activate {
  Epoch epoch;
  LogIndex ready_at;
};
// The configuration that counts from now on, though it may not be committed.
struct ConfigActive {
  Config config;
  LogId at;
};
// We lead no longer: drop what was decided and is not committed.
struct Deactivate {
  Epoch epoch;
};
// Something that cannot be, named: the driver stops.
struct Fatal {
  std::string_view reason;  // Static storage.
};
struct Trace {
  std::string_view action;  // As the paper names it; static storage.
  NodeId peer = no_node;
  Epoch epoch;
  LogId id;
  std::string_view reason = {};  // Static storage.
};
}  // namespace out
using Effect =
    std::variant<out::Append, out::Truncate, out::SaveHardState, out::ReadSnapshot,
                 out::StoreSnapshot, out::InstallSnapshot, out::Send, out::CloseLink, out::Commit,
                 out::Outcome, out::ReadReady, out::ElectionStarted, out::LeaderKnown,
                 out::Activate, out::ConfigActive, out::Deactivate, out::Fatal, out::Trace>;

struct PeerStatus {
  NodeId id;
  LogIndex match;
  LogIndex next;
  std::string_view phase;  // The protocol's own word: probe, replicate, following, synced, ...
};
// What a replica sent, took and made durable in this life.
struct Traffic {
  std::uint64_t messages_sent = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t messages_received = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t syncs = 0;  // Of its log and of its hard state.
};
struct Status {
  std::string_view role;  // The protocol's own word: follower, candidate, leader, looking, ...
  Epoch epoch;
  std::optional<NodeId> leader;
  LogIndex commit;
  LogId last;
  std::vector<PeerStatus> peers;
  Traffic traffic = {};  // The driver's; a module leaves it alone.
};
struct Capabilities {
  bool needs_fifo_links = false;  // Refuses the simulator's datagram mode.
  bool reads = false;
  bool lease_reads = false;
  bool transfer = false;
  bool reconfigure = false;
  bool snapshots = false;
  bool joint_changes = false;     // A change may be of any voters at once; else of one at a time.
  bool witnesses = false;         // Members that vote and keep no bodies.
  bool forwarding = false;        // Knows Tuning::forward_proposals.
  bool quorum_sizes = false;      // Config::election_quorum and commit_quorum.
  bool weighted_quorums = false;  // Member::weight and group.
  bool named_disks = false;       // A member with another disk than the configuration's is another.
};

// Invariant: (recovery, tuning, randomness, sequence of inputs) determines the sequence of effects.
class Module {
 public:
  virtual ~Module() = default;
  virtual Capabilities capabilities() const = 0;
  // Requires: `now` never goes back; every effect of the step before has been taken (not: is
  // durable).
  virtual void step(Time now, const Input& input, std::vector<Effect>& effects) = 0;
  virtual Time next_deadline() const = 0;  // When to hand in a Timer; Time::max(): never.
  virtual Status status() const = 0;
  virtual std::uint64_t digest() const = 0;   // Of the whole state: equal runs have equal digests.
  virtual void check_invariants() const = 0;  // CHECKs; after every step in simulation.
};

struct ModuleContext {
  ReplicaKey self;
  Tuning tuning;
  Recovery recovery;
  const LogView& log;  // Outlives the module.
  Prng random;
  Time now;
};

}  // namespace qlab::consensus
