#pragma once
// Where in a segment an offset lies: one entry per index interval, kept in the heap.
//
// On disk an entry is 8 bytes, big-endian: offset relative to the segment's base (int32), position
// of its batch in the data file (int32). The offset is the last one of the batch at that position.
// There is no checksum: whoever loads an index checks it against the data (LogSegment).
//
// Source: Kafka 3.9, OffsetIndex.

#include <vector>

#include "common/bytes.h"
#include "common/ids.h"

namespace qlab::storage {

class OffsetIndex {
 public:
  struct Entry {
    Offset offset;  // Last one of the batch at `position`.
    std::uint64_t position;
    bool operator==(const Entry&) const = default;
  };

  explicit OffsetIndex(Offset base) : base_(base) {}

  // Requires: offset and position are beyond the last entry's, and both fit 31 bits from the base.
  void append(Entry entry);

  // The position from which a scan finds `offset`: that of the last entry whose batch begins at or
  // before it; 0 when there is none.
  std::uint64_t position_near(Offset offset) const;

  // Position of the last entry; 0 when there is none.
  std::uint64_t last_position() const { return entries_.empty() ? 0 : last().position; }

  // Drops all entries whose batch lies at `position` or behind it.
  void truncate(std::uint64_t position);
  void clear() { entries_.clear(); }

  const std::vector<Entry>& entries() const { return entries_; }

  Bytes encode() const;
  // Errors: corrupt, when the bytes are not whole entries that grow.
  static Result<OffsetIndex> decode(Offset base, ByteView bytes);

 private:
  const Entry& last() const { return entries_.back(); }

  Offset base_;
  std::vector<Entry> entries_;  // Offsets and positions grow.
};

}  // namespace qlab::storage
