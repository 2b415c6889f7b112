#pragma once
// The hard state of a replica: one small file, replaced whole, with a checksum and its owner's
// name.
//
// It also says where the durable log ended when it was saved, so that a log that lost its end is
// told from one whose replica died before its epoch had an entry.
//
// File: magic:u64 owner(id:i32 directory:u64,u64) epoch:i64 synced_epoch:i64
//   has_vote:u8 vote(id:i32 directory:u64,u64) has_leader:u8 leader:i32
//   log_end(epoch:i64 index:i64) crc32c:u32

#include <optional>
#include <string>

#include "consensus/types.h"
#include "runtime/disk.h"

namespace qlab::consensus {

// Thread: the shard of the disk.
class VoteStore {
 public:
  // With no disk it remembers for as long as it lives: beside an engine that keeps nothing either.
  // Errors: corrupt, when the record does not decode; invalid, when it is another replica's; io.
  static Result<VoteStore> open(runtime::Disk* disk, std::string path, ReplicaKey owner);

  // Nothing: this replica has never been here.
  const std::optional<HardState>& state() const { return state_; }

  // The entry with which the log ended when the state was saved; 0: not known, or no entry.
  LogId log_end() const { return log_end_; }

  // Requires: the log is durable up to `log_end`, and is not cut below it before
  // forget_log_end(). Durability: durable when it returns. Cost: blocks the shard for a sync or
  // two; elections only. Errors: no_space, io; the record is then the old or the new one, and
  // nobody knows which.
  Result<void> save(const HardState& state, LogId log_end);
  // Saves the same state without. Requires: state(). Otherwise as save().
  Result<void> forget_log_end() { return save(*state_, {}); }

 private:
  VoteStore(runtime::Disk* disk, std::string path, ReplicaKey owner)
      : disk_(disk), path_(std::move(path)), owner_(owner) {}

  runtime::Disk* disk_;
  std::string path_;
  ReplicaKey owner_;
  std::optional<HardState> state_;
  LogId log_end_;
};

}  // namespace qlab::consensus
