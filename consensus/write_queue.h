#pragma once
// Writes on their way to the disk: all that is queued while one group commit runs goes with the
// next.
//
// Invariant: a crash keeps a prefix of the writes. Within the log the order of bytes sees to that;
// between log, hard state and image, the earlier one is durable before the later one begins. Pieces
// of an image count for nothing until it is installed, so they wait for nobody.

#include <deque>
#include <variant>

#include "consensus/log_store.h"
#include "consensus/snapshot_store.h"
#include "consensus/vote_store.h"

namespace qlab::consensus {

// Thread: one shard.
class WriteQueue {
 public:
  WriteQueue(LogStore& log, VoteStore& votes, SnapshotStore& snapshots)
      : log_(log), votes_(votes), snapshots_(snapshots) {}

  // Each follows the last in `seq`, beginning with 1. The log's view changes at once.
  void append(WriteSeq seq, std::vector<Entry> entries);
  void truncate(WriteSeq seq, LogIndex from);
  void save(WriteSeq seq, HardState state);
  void store(WriteSeq seq, SnapshotMeta meta, std::uint64_t position,
             std::shared_ptr<const Bytes> bytes);
  void install(WriteSeq seq, SnapshotMeta meta);
  // Of an image that was made here; no write of the module's. Requires: the image is durable.
  void trim(SnapshotMeta meta, LogIndex keep_from);

  bool empty() const { return queue_.empty(); }
  WriteSeq issued() const { return issued_; }     // The last that was queued.
  WriteSeq durable() const { return durable_; }   // durable_ <= issued_.
  std::uint64_t syncs() const { return syncs_; }  // Of log and hard state, so far.

  // Carries out what is queued now, in order. Then durable() covers it.
  // Requires: no other flush is under way. Errors: no_space, io; the queue is of no use any more.
  Task<Result<void>> flush();

 private:
  struct Piece {
    SnapshotMeta meta;
    std::uint64_t position = 0;
    std::shared_ptr<const Bytes> bytes;
  };
  struct Install {
    LogId last;
  };
  struct Trim {
    SnapshotMeta meta;
    LogIndex keep_from;
  };
  using Write = std::variant<std::vector<Entry>, LogIndex, HardState, Piece, Install, Trim>;
  void push(WriteSeq seq, Write write);
  Task<Result<void>> settle();  // Syncs the log if anything was written to it.
  static Write take_next(std::deque<Write>& writes);
  Task<Result<void>> carry_out(std::vector<Entry> entries);
  Task<Result<void>> carry_out(LogIndex from);
  Task<Result<void>> carry_out(HardState state);
  Task<Result<void>> carry_out(Piece piece);
  Task<Result<void>> carry_out(Install install);
  Task<Result<void>> carry_out(Trim trim);

  LogStore& log_;
  VoteStore& votes_;
  SnapshotStore& snapshots_;
  std::unique_ptr<SnapshotWriter> receiving_;
  std::deque<Write> queue_;
  bool dirty_ = false;  // The log has bytes that no sync covers.
  WriteSeq issued_;
  WriteSeq durable_;
  std::uint64_t syncs_ = 0;
};

}  // namespace qlab::consensus
