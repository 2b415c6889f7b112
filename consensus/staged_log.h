#pragma once
// The log as a step will leave it: what the driver holds, and what this step has asked for so far.
//
// Effects are carried out after the step that made them, so within a step LogView is behind.

#include "consensus/module.h"

namespace qlab::consensus {

class StagedLog {
 public:
  explicit StagedLog(const LogView& base) : base_(base) {}

  // A new step begins: all effects of the last one have been taken.
  void begin_step();
  // Requires: the entries follow last().
  void append(const std::vector<Entry>& entries);
  // Requires: nothing was appended in this step; 1 <= from <= last().index.
  void truncate(LogIndex from);
  // An image takes the place of all up to `last`, as out::InstallSnapshot says.
  // Requires: nothing was appended or truncated in this step; last is beyond the image there is.
  void install(LogId last);

  // As in LogView; an image that this step installs is not it yet.
  const SnapshotMeta& snapshot() const { return base_.snapshot(); }
  LogIndex first() const;
  LogId last() const;
  std::optional<Epoch> epoch_of(LogIndex index) const;
  LogId end_of_epoch(Epoch epoch) const;
  std::vector<Entry> read(LogIndex from, std::size_t bytes_max) const;

 private:
  LogId base_last() const;   // Of what this step leaves of the base.
  bool is_replaced() const;  // An image was installed, and nothing of the base stays.

  const LogView& base_;
  std::optional<LogIndex> truncated_from_;
  std::optional<LogId> installed_;
  std::vector<Entry> appended_;
};

}  // namespace qlab::consensus
