#pragma once
// Kafka's record batch v2: the unit that producers send, logs store and consumers fetch, byte for
// byte the same.
//
// The CRC covers everything from the attributes on. Base offset and leader epoch lie before it, so
// a leader stamps them in place and never touches the payload.
//
// Source: KIP-98; kafka.apache.org, "Message format". Layout in docs/formats.md.

#include <optional>
#include <vector>

#include "common/bytes.h"
#include "common/ids.h"
#include "common/result.h"

namespace qlab {

inline constexpr std::size_t batch_header_bytes = 61;
inline constexpr std::size_t batch_prefix_bytes =
    12;  // Base offset and length: what the length leaves out.
inline constexpr std::size_t batch_crc_start = 21;  // First byte under the CRC.

enum class Codec : std::uint8_t { none = 0, gzip = 1, snappy = 2, lz4 = 3, zstd = 4 };

struct BatchHeader {
  Offset base_offset;
  std::int32_t batch_length = 0;  // Bytes after this field; total is 12 more.
  LeaderEpoch leader_epoch = no_leader_epoch;
  std::int8_t magic = 2;
  std::uint32_t crc = 0;
  std::int16_t attributes = 0;
  std::int32_t last_offset_delta = 0;
  std::int64_t base_timestamp = -1;  // Milliseconds since 1970; -1: none.
  std::int64_t max_timestamp = -1;
  ProducerId producer_id{-1};
  std::int16_t producer_epoch = -1;
  std::int32_t base_sequence = -1;
  std::int32_t record_count = 0;

  std::size_t total_bytes() const {
    return batch_prefix_bytes + static_cast<std::size_t>(batch_length);
  }
  Offset last_offset() const { return base_offset.plus(last_offset_delta); }
  Offset next_offset() const { return last_offset().next(); }
  Codec codec() const { return static_cast<Codec>(attributes & 7); }
  bool is_transactional() const { return (attributes & 0x10) != 0; }
  bool is_control() const { return (attributes & 0x20) != 0; }
  bool has_log_append_time() const { return (attributes & 0x08) != 0; }
  // True when base_timestamp is the time from which on compaction drops tombstones (KIP-534).
  bool has_delete_horizon() const { return (attributes & delete_horizon_bit) != 0; }

  static constexpr std::int16_t delete_horizon_bit = 0x40;
};

// Reads a header and checks what a header alone can tell: magic, lengths and counts that fit each
// other. Errors: torn, when fewer than 61 bytes are given; corrupt.
Result<BatchHeader> decode_batch_header(ByteView bytes);

// Reads the header of the batch at the front of `bytes` and checks its CRC.
// Errors: torn, when the batch is longer than `bytes`; corrupt.
Result<BatchHeader> check_batch(ByteView bytes);

// Splits bytes that hold whole batches, one after the other, checking each. Errors: as check_batch.
Result<std::vector<BatchHeader>> check_batches(ByteView bytes);

// Writes base offset and leader epoch into the batch at the front of `bytes`.
// Requires: a decoded header said that these bytes are a batch.
void stamp_batch(std::span<std::byte> bytes, Offset base_offset, LeaderEpoch leader_epoch);

struct RecordHeader {
  std::string key;
  std::optional<Bytes> value;
};

struct Record {
  std::int32_t offset_delta = 0;
  std::int64_t timestamp = -1;  // Milliseconds since 1970.
  std::optional<Bytes> key;
  std::optional<Bytes> value;
  std::vector<RecordHeader> headers;
};

// Builds one uncompressed batch; offsets count from `base_offset`.
// Requires: at least one record.
Bytes encode_batch(const std::vector<Record>& records, Offset base_offset = Offset{0},
                   LeaderEpoch leader_epoch = no_leader_epoch);
// The same, for an idempotent producer: header fields producer_id, producer_epoch, base_sequence,
// attributes are taken from `header`.
Bytes encode_batch(const std::vector<Record>& records, const BatchHeader& header);

// The batch that `header` describes, of `records`, compressed as it says: for one that is written
// anew. Length, CRC and record count follow from the records; every other field is taken as it is,
// so there may be fewer records than offsets, or none.
// Errors: as compress().
Result<Bytes> rebuild_batch(const BatchHeader& header, const std::vector<Record>& records);

// How far the records of one batch may expand: 128 times what a producer sends at most by default.
inline constexpr std::size_t decompressed_bytes_max = 128u << 20;

// The records of one batch, whose offsets grow and lie within it.
// Errors: corrupt, also when they expand beyond `bytes_max`; unsupported, for an unknown codec.
Result<std::vector<Record>> decode_records(ByteView batch,
                                           std::size_t bytes_max = decompressed_bytes_max);

}  // namespace qlab
