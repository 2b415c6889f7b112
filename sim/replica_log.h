#pragma once
// One replica's log and hard state as the simulator follows them from outside: what was asked for,
// what is known to be durable, and so what a crash may leave.

#include <deque>
#include <optional>
#include <vector>

#include "consensus/module.h"

namespace qlab::sim {

// An entry with a digest of it and of all entries before it: two logs with equal chains at an index
// are equal up to there.
struct ChainedEntry {
  consensus::LogId id;
  std::uint64_t chain = 0;
  bool operator==(const ChainedEntry&) const = default;
};

// Chains `entry` to the entry before it; `before` is 0 for the first.
std::uint64_t chain_after(std::uint64_t before, const consensus::Entry& entry);

class ReplicaLog {
 public:
  // In the order of the module's effects. Returns what was appended, chained.
  std::vector<ChainedEntry> append(consensus::WriteSeq seq,
                                   const std::vector<consensus::Entry>& entries);
  void truncate(consensus::WriteSeq seq, LogIndex from);
  void save(consensus::WriteSeq seq, const consensus::HardState& state);
  void durable_up_to(consensus::WriteSeq seq);

  // The replica came up with this. False when no crash may leave it: something durable is gone, or
  // a write is there without one that came before it.
  bool recover(const consensus::LogView& log, const consensus::HardState& state);

  const std::vector<ChainedEntry>& seen() const { return now_.entries; }
  // Whether the entry at that index is this one, in the log as seen or as durable.
  bool sees(const ChainedEntry& entry) const { return now_.has(entry); }
  bool keeps(const ChainedEntry& entry) const { return durable_.has(entry); }

 private:
  struct State {
    std::vector<ChainedEntry> entries;  // entries[i] has index i + 1.
    consensus::HardState hard_state;
    bool has(const ChainedEntry& entry) const;
    bool operator==(const State&) const = default;
  };
  struct Write {
    consensus::WriteSeq seq;
    std::vector<ChainedEntry> appended;
    std::optional<LogIndex> truncated;
    std::optional<consensus::HardState> saved;
  };
  static void apply(State& state, const Write& write);

  State now_;
  State durable_;
  std::deque<Write> pending_;  // Asked for, and not known to be durable.
};

}  // namespace qlab::sim
