#pragma once
// The configurations in a replica's log. The last one is in force as soon as it is appended, and no
// longer when it is truncated (dissertation 4.1).

#include <map>

#include "consensus/types.h"

namespace qlab::raft {

// Invariant: base is in force before the first entry of changes_; indexes of changes_ are beyond
// that of base.
class ConfigHistory {
 public:
  // `base`: of the image of that last entry; {0, 0}: as configured.
  ConfigHistory(consensus::Config base, consensus::LogId at);

  const consensus::Config& active() const;
  consensus::LogId active_at() const;  // Its entry; that of the image when there is none.
  // In force for the entry at `index`: the last configuration at it or before it. What lies before
  // the base is taken for the base.
  const consensus::Config& at(LogIndex index) const;
  // In force before the active one; the active one when nothing else is known.
  const consensus::Config& previous() const;

  void append(consensus::LogId at, consensus::Config config);
  void truncate(LogIndex from);  // Forgets the changes in [from, ...).
  // An image is the new base; changes behind it stay if the log does.
  void install(consensus::LogId at, consensus::Config config, bool log_stays);

 private:
  struct Change {
    Epoch epoch;
    consensus::Config config;
  };
  consensus::Config base_;
  consensus::LogId base_at_;
  std::map<LogIndex, Change> changes_;
};

}  // namespace qlab::raft
