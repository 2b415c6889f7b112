#pragma once
// The value of a record that can be checked when it comes back: who it is, when it was due, and
// that it is whole.
//
// Layout, big-endian: "QLR1", crc32c of the rest (4), number (8), intended time in monotonic ns
// (8), filler. The filler follows from the number, does not compress to nothing, and is covered by
// the checksum.

#include <cstdint>

#include "common/bytes.h"
#include "common/result.h"

namespace qlab::experiments {

struct RecordValue {
  static constexpr std::size_t kSizeMin = 24;

  std::int64_t number = 0;  // Unique within a run.
  std::int64_t intended_ns = 0;
};

// Requires: size >= RecordValue::kSizeMin.
Bytes encode_value(const RecordValue& value, std::size_t size);

// Errors: corrupt, when the bytes are not what encode_value once made.
Result<RecordValue> decode_value(ByteView bytes);

}  // namespace qlab::experiments
