#pragma once
// Who votes, read from the log: the newest configuration in it counts from its append on, and an
// older one again when it is cut (KIP-853).

#include <map>

#include "consensus/module.h"

namespace qlab::raft::kraft {

class VoterHistory {
 public:
  // `base` counts as long as no entry behind the image has another.
  VoterHistory(consensus::Config base, const consensus::LogView& log);

  const consensus::Config& current() const;
  consensus::LogId at() const;  // Of the entry or image that it is from.

  // Whether the key is that of a voter now, or was after what is committed: until a change is,
  // those that it removes may be needed to commit it (Raft dissertation 4.2.2).
  bool may_campaign(const consensus::ReplicaKey& key, LogIndex commit) const;

  // These return whether another configuration is in force than before.
  bool append(const consensus::Entry& entry);
  bool truncate(LogIndex from);
  bool install(const consensus::SnapshotMeta& image, bool log_is_replaced);

  // An image stands for the log up to its end.
  void forget(const consensus::SnapshotMeta& image);

 private:
  struct Known {
    consensus::Config config;
    consensus::LogId at;
  };
  Known base_;
  std::map<LogIndex, Known> known_;  // Of the entries behind the image.
};

// Errors: corrupt, when an entry that should carry a configuration does not.
Result<void> check_configs(const std::vector<consensus::Entry>& entries);

// Whether the key is that of a voter. A configuration written by hand names no directory.
bool is_voter(const consensus::Config& config, const consensus::ReplicaKey& key);

}  // namespace qlab::raft::kraft
