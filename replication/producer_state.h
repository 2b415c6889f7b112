#pragma once
// What a partition remembers of idempotent producers: enough to tell a retry from a new batch.
//
// A retained duplicate is answered with its first offsets, so a producer that never heard of its
// success does not write twice. It is rebuilt from batch headers, and so is the same on leader and
// followers.
//
// Source: KIP-98, ProducerStateEntry; the last five batches are kept because a producer may have
// five in flight.

#include <deque>
#include <map>
#include <variant>

#include "common/record_batch.h"
#include "storage/log.h"

namespace qlab::replication {

class ProducerState {
 public:
  static constexpr std::size_t batches_retained = 5;

  // What to do with a batch that arrives at the leader.
  // Nothing: append it. A result: it was appended before, there.
  // Errors: out_of_sequence, stale_producer.
  Result<std::optional<storage::AppendResult>> check(const BatchHeader& batch) const;

  // Takes notice of a batch that was appended. Requires: base offset and sequence are the final
  // ones.
  void update(const BatchHeader& batch);

  // Forgets everything: the log was truncated and is about to be read again.
  void clear() { producers_.clear(); }

 private:
  struct Batch {
    std::int32_t first_sequence = 0;
    std::int32_t last_sequence = 0;
    Offset base;
    Offset next;
  };
  struct Producer {
    std::int16_t epoch = 0;
    std::deque<Batch> batches;  // Newest last; at most batches_retained; never empty.
  };

  std::map<ProducerId, Producer> producers_;
};

}  // namespace qlab::replication
