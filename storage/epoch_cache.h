#pragma once
// Which leader epoch wrote which offsets: the question behind every truncation.
//
// On disk it is Kafka's text checkpoint `leader-epoch-checkpoint`: a line "0" (version), a line
// with the number of entries, and a line "epoch start" for each.
//
// Source: KIP-101, KIP-279; Kafka 3.9, LeaderEpochFileCache.

#include <string>

#include <boost/container/small_vector.hpp>

#include "common/bytes.h"
#include "storage/log.h"

namespace qlab::storage {

class EpochCache {
 public:
  struct Entry {
    LeaderEpoch epoch;
    Offset start;  // Of its first record.
    bool operator==(const Entry&) const = default;
  };
  // Most logs know one epoch, and so need no memory elsewhere.
  using Entries = boost::container::small_vector<Entry, 1>;

  // Notes that `epoch` wrote `offset`. Ignored unless the epoch is beyond the latest one.
  // Requires: offset >= the latest entry's start.
  void assign(LeaderEpoch epoch, Offset offset);

  LeaderEpoch latest() const { return entries_.empty() ? no_leader_epoch : entries_.back().epoch; }

  // The largest epoch <= `epoch` and one past its last record, in a log that ends at `end`.
  // Epoch -1, with the start of the first entry (`end` if there is none), when all are larger.
  EpochEnd end_of(LeaderEpoch epoch, Offset end) const;

  // Forgets the epochs that begin at `end` or later.
  void truncate_from_end(Offset end);
  // Forgets the epochs that end at `start` or before, but not the latest one.
  void truncate_from_start(Offset start);
  void clear() { entries_.clear(); }

  const Entries& entries() const { return entries_; }

  std::string encode() const;
  // Errors: corrupt, naming the line.
  static Result<EpochCache> decode(std::string_view text);

 private:
  Entries entries_;  // Epochs grow, and starts with them.
};

}  // namespace qlab::storage
