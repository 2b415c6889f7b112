#pragma once
// What stands before each metadata record: uvarints for the frame version, the record's id and its
// version.
//
// Source: KIP-631, "Record Formats"; Kafka's __cluster_metadata log uses the same.

#include <cstdint>

#include "common/bytes.h"
#include "common/result.h"

namespace qlab::wire {

struct RecordHead {
  std::uint32_t id = 0;
  std::int16_t version = 0;
};

void encode_record_head(BytesWriter& out, std::uint32_t id, std::int16_t version);
// Errors: corrupt; unsupported, for a frame version other than 1.
Result<RecordHead> decode_record_head(BytesReader& in);

}  // namespace qlab::wire
