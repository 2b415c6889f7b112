#include "storage/record_time.h"

namespace qlab::storage {

Result<std::optional<Log::TimestampOffset>> first_at_time(ByteView batch, std::int64_t timestamp,
                                                          Offset least) {
  TRY(const BatchHeader header, decode_batch_header(batch));
  TRY(const std::vector<Record> records, decode_records(batch));
  for (const Record& record : records) {
    const Offset offset = header.base_offset.plus(record.offset_delta);
    const std::int64_t time =
        header.has_log_append_time() ? header.max_timestamp : record.timestamp;
    if (time >= timestamp && offset >= least) {
      return Log::TimestampOffset{offset, time, header.leader_epoch};
    }
  }
  return std::optional<Log::TimestampOffset>{};
}

}  // namespace qlab::storage
