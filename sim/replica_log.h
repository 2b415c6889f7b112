#pragma once
// One replica's log and hard state as the simulator follows them from outside: what was asked for,
// what is known to be durable, and so what a crash may leave.

#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "consensus/module.h"

namespace qlab::sim {

// An entry with a digest of where it and all entries before it stand: two logs with equal chains at
// an index have the same ids up to there. And equal ids have equal bodies, where both have one: a
// witness has none.
struct ChainedEntry {
  consensus::LogId id;
  std::uint64_t chain = 0;
  std::uint64_t body = 0;  // Digest; 0: it has none.

  bool matches(const ChainedEntry& other) const {
    return id == other.id && chain == other.chain &&
           (body == other.body || body == 0 || other.body == 0);
  }
};

struct CommittedEntry {
  ChainedEntry entry;
  Epoch known_in;  // Of who applied it first: at least the epoch in which it was committed.
  std::optional<std::uint64_t> value;
  std::uint64_t state = 0;  // Digest of a state machine that has applied it and all before.
};

// Chains `entry` to the entry before it; `before` is 0 for the first.
ChainedEntry chain_after(std::uint64_t before, const consensus::Entry& entry);

class ReplicaLog {
 public:
  // In the order of the module's effects. Returns what was appended, chained.
  std::vector<ChainedEntry> append(consensus::WriteSeq seq,
                                   const std::vector<consensus::Entry>& entries);
  void truncate(consensus::WriteSeq seq, LogIndex from);
  void save(consensus::WriteSeq seq, const consensus::HardState& state);
  // Pieces of images are no state, but they are numbered like writes.
  void store(consensus::WriteSeq seq);
  // An image of all up to `last` takes the place of the log, as out::InstallSnapshot says.
  // Requires: last.index <= committed.size().
  void install(consensus::WriteSeq seq, const consensus::LogId& last,
               std::span<const CommittedEntry> committed);
  void durable_up_to(consensus::WriteSeq seq);

  // The replica came up with this. False when no crash may leave it: something durable is gone, or
  // a write is there without one that came before it, or its image is of what was never committed.
  // What its own image covers may be there before it is durable in the log.
  bool recover(const consensus::LogView& log, const consensus::HardState& state,
               std::span<const CommittedEntry> committed);

  // Whether the entry at that index is this one, in the log as seen or as durable.
  bool sees(const ChainedEntry& entry) const { return now_.has(entry); }
  bool keeps(const ChainedEntry& entry) const { return durable_.has(entry); }
  std::size_t size() const { return now_.entries.size(); }
  // The last configuration that recover() found behind its image; {0, 0}: none.
  consensus::LogId configured_at() const { return configured_at_; }

 private:
  struct State {
    std::vector<ChainedEntry> entries;  // entries[i] has index i + 1, also of what an image covers.
    consensus::HardState hard_state;
    bool has(const ChainedEntry& entry) const;
    void cover(const std::vector<ChainedEntry>& image);  // It takes the place of the beginning.
    bool is(const State& other) const;
  };
  struct Write {
    consensus::WriteSeq seq;
    std::vector<ChainedEntry> appended;
    std::optional<LogIndex> truncated;
    std::optional<consensus::HardState> saved;
    std::shared_ptr<const std::vector<ChainedEntry>> installed;  // All that the image covers.
  };
  static void apply(State& state, const Write& write);
  void push(Write write);

  State now_;
  State durable_;
  std::deque<Write> pending_;  // Asked for, and not known to be durable.
  consensus::LogId configured_at_;
};

}  // namespace qlab::sim
