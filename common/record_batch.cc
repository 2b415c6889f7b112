#include "common/record_batch.h"

#include <algorithm>

#include "common/check.h"
#include "common/compression.h"
#include "common/crc32c.h"

namespace qlab {
namespace {

void put_nullable(BytesWriter& out, const std::optional<Bytes>& bytes) {
  if (!bytes) return out.put_varint(-1);
  out.put_varint(static_cast<std::int64_t>(bytes->size()));
  out.put_bytes(*bytes);
}

std::optional<Bytes> get_nullable(BytesReader& in) {
  const std::int64_t length = in.get_varint();
  if (length < 0) return std::nullopt;
  const ByteView view = in.get_bytes(static_cast<std::size_t>(length));
  return Bytes(view.begin(), view.end());
}

Bytes encode_record(const Record& record, std::int64_t base_timestamp, std::int32_t delta) {
  BytesWriter out;
  out.put<std::int8_t>(0);  // Record attributes: none are defined.
  out.put_varint(record.timestamp - base_timestamp);
  out.put_varint(delta);
  put_nullable(out, record.key);
  put_nullable(out, record.value);
  out.put_varint(static_cast<std::int64_t>(record.headers.size()));
  for (const RecordHeader& header : record.headers) {
    out.put_varint(static_cast<std::int64_t>(header.key.size()));
    out.put_text(header.key);
    put_nullable(out, header.value);
  }
  return out.take();
}

void put_record(BytesWriter& out, const Record& record, std::int64_t base_timestamp,
                std::int32_t delta) {
  const Bytes body = encode_record(record, base_timestamp, delta);
  out.put_varint(static_cast<std::int64_t>(body.size()));
  out.put_bytes(body);
}

Result<Record> decode_record(BytesReader& in, std::int64_t base_timestamp) {
  Record record;
  in.get_varint();  // Length; the fields say it again.
  in.get<std::int8_t>();
  record.timestamp = base_timestamp + in.get_varint();
  record.offset_delta = static_cast<std::int32_t>(in.get_varint());
  record.key = get_nullable(in);
  record.value = get_nullable(in);
  const std::int64_t headers = in.get_varint();
  for (std::int64_t i = 0; i < headers && in.ok(); ++i) {
    const std::int64_t key_length = in.get_varint();
    if (key_length < 0) in.fail_with("a record header has no key");
    const ByteView key =
        in.get_bytes(static_cast<std::size_t>(std::max<std::int64_t>(key_length, 0)));
    record.headers.push_back({std::string(as_text(key)), get_nullable(in)});
  }
  TRY_VOID(in.status());
  return record;
}

constexpr std::int16_t codec_bits = 7;

// The header of a batch whose length and CRC are not known yet; see seal_batch().
void put_header(BytesWriter& out, const BatchHeader& header) {
  out.put(header.base_offset.value());
  out.put<std::int32_t>(0);  // Length.
  out.put(header.leader_epoch.value());
  out.put<std::int8_t>(2);
  out.put<std::uint32_t>(0);  // CRC.
  out.put(header.attributes);
  out.put(header.last_offset_delta);
  out.put(header.base_timestamp);
  out.put(header.max_timestamp);
  out.put(header.producer_id.value());
  out.put(header.producer_epoch);
  out.put(header.base_sequence);
  out.put(header.record_count);
  CHECK(out.size() == batch_header_bytes);
}

void seal_batch(BytesWriter& out) {
  out.patch(8, static_cast<std::int32_t>(out.size() - batch_prefix_bytes));
  out.patch(17, crc32c(out.view().subspan(batch_crc_start)));
}

}  // namespace

// These two fill the result in place: a header that is copied right after its fields were stored
// one by one waits for them, which took as long as the decoding.
Result<BatchHeader> decode_batch_header(ByteView bytes) {
  Result<BatchHeader> result;
  if (bytes.size() < batch_header_bytes) {
    result = fail(Errc::torn, "a batch header has {} bytes; {} are here", batch_header_bytes,
                  bytes.size());
    return result;
  }
  const std::byte* const at = bytes.data();
  BatchHeader& header = *result;
  header.base_offset = Offset{load_big<std::int64_t>(at)};
  header.batch_length = load_big<std::int32_t>(at + 8);
  header.leader_epoch = LeaderEpoch{load_big<std::int32_t>(at + batch_prefix_bytes)};
  header.magic = load_big<std::int8_t>(at + 16);
  header.crc = load_big<std::uint32_t>(at + 17);
  header.attributes = load_big<std::int16_t>(at + batch_crc_start);
  header.last_offset_delta = load_big<std::int32_t>(at + 23);
  header.base_timestamp = load_big<std::int64_t>(at + 27);
  header.max_timestamp = load_big<std::int64_t>(at + 35);
  header.producer_id = ProducerId{load_big<std::int64_t>(at + 43)};
  header.producer_epoch = load_big<std::int16_t>(at + 51);
  header.base_sequence = load_big<std::int32_t>(at + 53);
  header.record_count = load_big<std::int32_t>(at + 57);
  if (header.magic != 2) {
    result = fail(Errc::corrupt, "record batch magic is {}; only 2 is spoken", header.magic);
  } else if (header.batch_length <
             static_cast<std::int32_t>(batch_header_bytes - batch_prefix_bytes)) {
    result =
        fail(Errc::corrupt, "record batch length {} is less than its header", header.batch_length);
  } else if (header.last_offset_delta < 0 || header.record_count < 0) {
    result = fail(Errc::corrupt, "record batch has last offset delta {} and {} records",
                  header.last_offset_delta, header.record_count);
  } else if (header.base_offset.value() < 0) {
    result = fail(Errc::corrupt, "record batch base offset {} is negative", header.base_offset);
  }
  return result;
}

Result<BatchHeader> check_batch(ByteView bytes) {
  Result<BatchHeader> header = decode_batch_header(bytes);
  if (!header) return header;
  const std::size_t total = header->total_bytes();
  if (total > bytes.size()) {
    header = fail(Errc::torn, "batch at offset {} has {} bytes; {} are here", header->base_offset,
                  total, bytes.size());
    return header;
  }
  const std::uint32_t crc = crc32c(bytes.subspan(batch_crc_start, total - batch_crc_start));
  if (crc != header->crc) {
    header = fail(Errc::corrupt, "batch at offset {} has CRC {:#010x}; its bytes give {:#010x}",
                  header->base_offset, header->crc, crc);
  }
  return header;
}

Result<std::vector<BatchHeader>> check_batches(ByteView bytes) {
  std::vector<BatchHeader> headers;
  while (!bytes.empty()) {
    const Result<BatchHeader> header = check_batch(bytes);
    if (!header) return fail(header.error());
    headers.push_back(*header);
    bytes = bytes.subspan(header->total_bytes());
  }
  return headers;
}

void stamp_batch(std::span<std::byte> bytes, Offset base_offset, LeaderEpoch leader_epoch) {
  CHECK(bytes.size() >= batch_header_bytes);
  store_big(bytes.data(), base_offset.value());
  store_big(bytes.data() + batch_prefix_bytes, leader_epoch.value());
}

Bytes encode_batch(const std::vector<Record>& records, Offset base_offset,
                   LeaderEpoch leader_epoch) {
  BatchHeader header;
  header.base_offset = base_offset;
  header.leader_epoch = leader_epoch;
  return encode_batch(records, header);
}

Bytes encode_batch(const std::vector<Record>& records, const BatchHeader& header) {
  CHECK(!records.empty());
  BatchHeader mine = header;
  mine.last_offset_delta = static_cast<std::int32_t>(records.size() - 1);
  mine.base_timestamp = mine.max_timestamp = records.front().timestamp;
  for (const Record& record : records) {
    mine.max_timestamp = std::max(mine.max_timestamp, record.timestamp);
  }
  mine.record_count = static_cast<std::int32_t>(records.size());
  BytesWriter out;
  put_header(out, mine);
  std::int32_t delta = 0;
  for (const Record& record : records) put_record(out, record, mine.base_timestamp, delta++);
  seal_batch(out);
  return out.take();
}

Result<Bytes> rebuild_batch(const BatchHeader& header, const std::vector<Record>& records) {
  BytesWriter plain;
  for (const Record& record : records) {
    put_record(plain, record, header.base_timestamp, record.offset_delta);
  }
  BatchHeader mine = header;
  mine.record_count = static_cast<std::int32_t>(records.size());
  // Without records there is nothing to compress, and a reader gets nothing to decompress.
  if (records.empty()) mine.attributes = static_cast<std::int16_t>(mine.attributes & ~codec_bits);
  TRY(const Bytes bytes, compress(mine.codec(), plain.view()));
  BytesWriter out;
  put_header(out, mine);
  out.put_bytes(bytes);
  seal_batch(out);
  return out.take();
}

Result<std::vector<Record>> decode_records(ByteView batch, std::size_t bytes_max) {
  TRY(const BatchHeader header, check_batch(batch));
  ByteView bytes = batch.subspan(batch_header_bytes, header.total_bytes() - batch_header_bytes);
  Bytes plain;
  if (header.codec() != Codec::none) {
    auto decompressed = decompress(header.codec(), bytes, bytes_max);
    if (!decompressed) {
      return fail(decompressed.error().code, "batch at offset {}: {}", header.base_offset,
                  decompressed.error().context);
    }
    plain = std::move(*decompressed);
    bytes = plain;
  }
  BytesReader in(bytes);
  std::vector<Record> records;
  for (std::int32_t i = 0; i < header.record_count; ++i) {
    TRY(Record record, decode_record(in, header.base_timestamp));
    const std::int32_t least = records.empty() ? 0 : records.back().offset_delta + 1;
    if (record.offset_delta < least || record.offset_delta > header.last_offset_delta) {
      return fail(Errc::corrupt,
                  "batch at offset {}: record {} has offset delta {}, not in [{}, {}]",
                  header.base_offset, i, record.offset_delta, least, header.last_offset_delta);
    }
    records.push_back(std::move(record));
  }
  return records;
}

}  // namespace qlab
