#pragma once
// From when on a timestamp may be found in a segment: the running maximum of the timestamps, kept
// in the heap.
//
// On disk an entry is 12 bytes, big-endian: timestamp in milliseconds (int64), offset relative to
// the segment's base (int32). It says that no batch up to the one that holds `offset` has a later
// timestamp, and that this batch has it.
//
// Source: Kafka 3.9, TimeIndex.

#include <vector>

#include "common/bytes.h"
#include "common/ids.h"

namespace qlab::storage {

class TimeIndex {
 public:
  struct Entry {
    std::int64_t timestamp;  // Milliseconds since 1970.
    Offset offset;           // Last one of the first batch that has the timestamp.
    bool operator==(const Entry&) const = default;
  };

  explicit TimeIndex(Offset base) : base_(base) {}

  // Ignored unless the timestamp is beyond the last entry's: the running maximum has not moved.
  // Requires: offset >= that of the last entry.
  void append(Entry entry);

  // The offset from which a scan finds the first timestamp >= `timestamp`: that of the last entry
  // with an earlier one; the segment's base when there is none.
  Offset offset_near(std::int64_t timestamp) const;

  // Drops all entries at `offset` and beyond.
  void truncate(Offset offset);
  void clear() { entries_.clear(); }

  const std::vector<Entry>& entries() const { return entries_; }

  Bytes encode() const;
  // Errors: corrupt, when the bytes are not whole entries that grow.
  static Result<TimeIndex> decode(Offset base, ByteView bytes);

 private:
  Offset base_;
  std::vector<Entry> entries_;  // Timestamps and offsets grow.
};

}  // namespace qlab::storage
