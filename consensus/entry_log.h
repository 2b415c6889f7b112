#pragma once
// Entries in memory, with their leader-epoch index: what a module reads, whatever the disk below.
//
// LogStore keeps one in front of its files; scripts and tests use it alone.

#include <deque>
#include <map>

#include "consensus/module.h"

namespace qlab::consensus {

// Invariant: indexes follow the entry before first() without a gap and epochs never decrease; what
// lies before first() is in snapshot().
class EntryLog final : public LogView {
 public:
  const SnapshotMeta& snapshot() const override { return snapshot_; }
  LogIndex first() const override { return previous_.index.next(); }
  LogId last() const override { return entries_.empty() ? previous_ : entries_.back().id; }
  std::optional<Epoch> epoch_of(LogIndex index) const override;
  LogId end_of_epoch(Epoch epoch) const override;
  std::vector<Entry> read(LogIndex from, std::size_t bytes_max) const override;
  LogId previous() const { return previous_; }  // The entry before first().

  // Requires: the entry follows last(), in an epoch >= last().epoch.
  void append(Entry entry);
  // Drops [from, last]. Requires: first() <= from <= last().index + 1.
  void truncate(LogIndex from);
  // Forgets what lies before `from`, as far as there is any. Requires: from <= last().index + 1.
  void trim(LogIndex from);
  // Nothing is left, and the next entry follows `previous`.
  void reset(LogId previous);
  void set_snapshot(SnapshotMeta meta) { snapshot_ = std::move(meta); }
  // Takes an image in the place of all that it covers (out::InstallSnapshot).
  void install(SnapshotMeta meta);

 private:
  SnapshotMeta snapshot_;
  LogId previous_;
  std::deque<Entry> entries_;         // entries_[i] has index first() + i.
  std::map<Epoch, LogIndex> starts_;  // First index, of those kept, of every epoch in the log.
};

}  // namespace qlab::consensus
