#pragma once
// Writes on their way to the disk: all that is queued while one group commit runs goes with the
// next.
//
// Invariant: a crash keeps a prefix of the writes. Within the log the order of bytes sees to that;
// between log and hard state, the earlier one is durable before the later one begins.

#include <deque>
#include <variant>

#include "consensus/log_store.h"
#include "consensus/vote_store.h"

namespace qlab::consensus {

// Thread: one shard.
class WriteQueue {
 public:
  WriteQueue(LogStore& log, VoteStore& votes) : log_(log), votes_(votes) {}

  // Each follows the last in `seq`, beginning with 1. The log's view changes at once.
  void append(WriteSeq seq, std::vector<Entry> entries);
  void truncate(WriteSeq seq, LogIndex from);
  void save(WriteSeq seq, HardState state);

  bool empty() const { return queue_.empty(); }
  WriteSeq issued() const { return issued_; }    // The last that was queued.
  WriteSeq durable() const { return durable_; }  // durable_ <= issued_.

  // Carries out what is queued now, in order. Then durable() covers it.
  // Requires: no other flush is under way. Errors: no_space, io; the queue is of no use any more.
  Task<Result<void>> flush();

 private:
  using Write = std::variant<std::vector<Entry>, LogIndex, HardState>;
  void push(WriteSeq seq, Write write);
  Task<Result<void>> settle();  // Syncs the log if anything was written to it.

  LogStore& log_;
  VoteStore& votes_;
  std::deque<Write> queue_;
  bool dirty_ = false;  // The log has bytes that no sync covers.
  WriteSeq issued_;
  WriteSeq durable_;
};

}  // namespace qlab::consensus
