#pragma once
// The log as a step will leave it: what the driver holds, and what this step has asked for so far.
//
// Effects are carried out after the step that made them, so within a step LogView is behind.

#include "consensus/module.h"

namespace qlab::raft {

class StagedLog {
 public:
  explicit StagedLog(const consensus::LogView& base) : base_(base) {}

  // A new step begins: all effects of the last one have been taken.
  void begin_step();
  // Requires: the entries follow last().
  void append(const std::vector<consensus::Entry>& entries);
  // Requires: nothing was appended in this step; 1 <= from <= last().index.
  void truncate(LogIndex from);

  // As in consensus::LogView.
  LogIndex first() const { return base_.first(); }
  consensus::LogId last() const;
  std::optional<Epoch> epoch_of(LogIndex index) const;
  consensus::LogId end_of_epoch(Epoch epoch) const;
  std::vector<consensus::Entry> read(LogIndex from, std::size_t bytes_max) const;

 private:
  consensus::LogId base_last() const;  // Of what this step leaves of the base.

  const consensus::LogView& base_;
  std::optional<LogIndex> truncated_from_;
  std::vector<consensus::Entry> appended_;
};

}  // namespace qlab::raft
