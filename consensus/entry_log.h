#pragma once
// Entries in memory, with their leader-epoch index: what a module reads, whatever the disk below.
//
// LogStore keeps one in front of its file; scripts and tests use it alone.

#include <map>

#include "consensus/module.h"

namespace qlab::consensus {

// Invariant: indexes are 1, 2, 3, ... without a gap and epochs never decrease.
class EntryLog final : public LogView {
 public:
  LogIndex first() const override { return LogIndex{1}; }
  LogId last() const override { return entries_.empty() ? LogId{} : entries_.back().id; }
  std::optional<Epoch> epoch_of(LogIndex index) const override;
  LogId end_of_epoch(Epoch epoch) const override;
  std::vector<Entry> read(LogIndex from, std::size_t bytes_max) const override;

  // Requires: the entry follows last(), in an epoch >= last().epoch.
  void append(Entry entry);
  // Drops [from, last]. Requires: 1 <= from <= last().index + 1.
  void truncate(LogIndex from);

 private:
  std::vector<Entry> entries_;        // entries_[i] has index i + 1.
  std::map<Epoch, LogIndex> starts_;  // First index of every epoch in the log.
};

}  // namespace qlab::consensus
