#pragma once
// The four codecs of record batches, in the framings that Kafka's clients write: gzip, snappy as
// snappy-java frames it (reading: raw blocks too), LZ4 frames, Zstandard frames.
//
// Source: kafka.apache.org, "Message format"; snappy-java's SnappyOutputStream for its framing.

#include "common/bytes.h"
#include "common/record_batch.h"

namespace qlab {

// The compressed form of `bytes`; the same bytes for Codec::none.
// Errors: unsupported, for a codec that does not exist; invalid, when the library refuses.
Result<Bytes> compress(Codec codec, ByteView bytes);

// The reverse, of at most `bytes_max` bytes: a small input may stand for a huge output, which is
// never made.
// Errors: corrupt, when the bytes are malformed or cut, or stand for more than bytes_max;
// unsupported, for a codec that does not exist.
Result<Bytes> decompress(Codec codec, ByteView bytes, std::size_t bytes_max);

}  // namespace qlab
