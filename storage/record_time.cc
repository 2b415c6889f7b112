#include "storage/record_time.h"

namespace qlab::storage {

Result<std::optional<Log::TimestampOffset>> first_at_time(ByteView batch, std::int64_t timestamp) {
  using Found = std::optional<Log::TimestampOffset>;
  constexpr std::int16_t log_append_time = 0x08;  // Bit 3: all records have max_timestamp.
  TRY(const BatchHeader header, decode_batch_header(batch));
  const bool one_timestamp = (header.attributes & log_append_time) != 0;
  if (one_timestamp || header.codec() != Codec::none) {
    return Log::TimestampOffset{header.base_offset, header.max_timestamp, header.leader_epoch};
  }
  TRY(const std::vector<Record> records, decode_records(batch));
  for (const Record& record : records) {
    if (record.timestamp < timestamp) continue;
    return Log::TimestampOffset{header.base_offset.plus(record.offset_delta), record.timestamp,
                                header.leader_epoch};
  }
  return Found{};
}

}  // namespace qlab::storage
