#pragma once
// What compaction keeps: the latest record of each key, and of a tombstone nothing in the end.
// Pure.
//
// A pass goes over the log twice. First map_keys() reads what was never cleaned (the dirty part)
// into a map of keys; then clean_batch() decides about every batch below the end of that part, and
// what it leaves is written anew. Offsets and timestamps of what stays do not change, and a batch
// keeps its first and last offset.
//
// A tombstone (a record without a value) stays for a while after everything before it with its key
// is gone, so that a reader who is behind still sees it. When a batch with tombstones is first
// cleaned, it is given a delete horizon, the time from which on they may go: in place of its base
// timestamp, with attribute bit 6 (KIP-534).
//
// Control batches stay. Records of transactions supersede nothing, because whether they were
// committed is not known here; they are superseded like others.
//
// Source: Kafka 3.9, LogCleaner and MemoryRecords.filterTo; KIP-58, KIP-98, KIP-534.

#include <map>
#include <optional>

#include "common/clock.h"
#include "common/record_batch.h"
#include "storage/key_map.h"

namespace qlab::storage {

// The keys of the dirty part, as far as they fitted.
class DirtyKeys {
 public:
  // `from` is where the dirty part begins.
  DirtyKeys(std::size_t bytes_max, HashSecret secret, Offset from)
      : keys_(bytes_max, secret), from_(from), end_(from) {}

  // Takes the keys of a batch that follows the ones before. False when the map is full: then end()
  // lies at the first record that did not fit, and no more may come.
  // Errors: as decode_records().
  Result<bool> map_keys(ByteView batch);

  // True when a later record of the dirty part has the key of this one.
  bool supersedes(ByteView key, Offset offset) const;

  Offset from() const { return from_; }
  Offset end() const { return end_; }  // Below it all of the dirty part was seen.
  std::size_t size() const { return keys_.size(); }

 private:
  KeyMap keys_;
  const Offset from_;
  Offset end_;  // from_ <= end_
};

// The last batch of each idempotent producer in what is cleaned. It is kept, as an empty one if
// need be, because its sequence tells a retry from a new batch.
// Cost: memory for every producer that is in the log.
class ProducerTails {
 public:
  // Requires: batches come in order.
  void note(const BatchHeader& batch);
  bool is_tail(const BatchHeader& batch) const;

 private:
  std::map<ProducerId, Offset> tails_;  // Base offset of the last batch.
};

struct CompactionPass {
  const DirtyKeys& keys;
  const ProducerTails& producers;
  WallMillis now{};
  WallMillis delete_retention{};
};

// What becomes of a batch.
struct CleanedBatch {
  enum class Fate : std::uint8_t {
    kept,       // Every byte of it.
    rewritten,  // As `bytes`.
    dropped,
  };
  Fate fate = Fate::kept;
  Bytes bytes;
  std::uint64_t records_read = 0;
  std::uint64_t records_kept = 0;
};

// Requires: the keys of the whole dirty part, as far as they go, are in `pass`. With `keep_empty`
// the batch is not dropped, but stays as an empty one at least.
// Errors: as decode_records() and rebuild_batch().
Result<CleanedBatch> clean_batch(ByteView batch, const CompactionPass& pass, bool keep_empty);

}  // namespace qlab::storage
