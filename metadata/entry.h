#pragma once
// One entry of the metadata log: a batch of records that is decided, committed and replayed as one.
//
// The structs of the records are generated from schemas/*.json into metadata/records.h.

#include <vector>

#include "common/bytes.h"
#include "metadata/records.h"

namespace qlab::metadata {

using Records = std::vector<Record>;

// Body of a log entry: count, then each record with its length before it.
Bytes encode_entry(const Records& records);

// Errors: corrupt; unsupported, when a record's id or version is unknown, for a newer build wrote
// it.
Result<Records> decode_entry(ByteView body);

}  // namespace qlab::metadata
