#include "replication/log_upkeep.h"

#include <algorithm>

#include "common/logging.h"

namespace qlab::replication {
namespace {

constexpr std::size_t scan_bytes = 1u << 20;  // Read at a time.

}  // namespace

Result<std::vector<BatchHeader>> headers_of(ByteView batches) {
  std::vector<BatchHeader> headers;
  while (!batches.empty()) {
    TRY(const BatchHeader header, decode_batch_header(batches));
    headers.push_back(header);
    batches = batches.subspan(std::min(batches.size(), header.total_bytes()));
  }
  return headers;
}

Task<Result<void>> read_producers(storage::Log& log, ProducerState& producers) {
  producers.clear();
  for (Offset at = log.start(); at < log.end();) {
    CO_TRY(const storage::ReadResult read, co_await log.read(at, log.end(), scan_bytes));
    if (read.next == at) break;
    CO_TRY(const auto headers, headers_of(read.batches));
    for (const BatchHeader& header : headers) producers.update(header);
    at = read.next;
  }
  co_return Result<void>{};
}

Task<Result<bool>> clean_log(storage::Log& log, std::string name, WallMillis now,
                             Offset watermark) {
  CO_TRY(const auto retained, co_await log.apply_retention(now, watermark));
  if (retained.segments > 0) {
    qlab::log(LogLevel::info, "replica",
              "{}: deleted {} segments of {} bytes, and begins at offset {}", name,
              retained.segments, retained.bytes, retained.start);
  }
  // A map of keys that was full leaves the rest to another pass.
  for (bool again = true; again;) {
    CO_TRY(const auto compacted, co_await log.compact(now, watermark));
    again = compacted.ran && compacted.is_full;
    if (!compacted.ran) continue;
    qlab::log(LogLevel::info, "replica", "{}: compacted {} bytes into {}, clean up to offset {}",
              name, compacted.bytes_before, compacted.bytes_after, compacted.clean_end);
  }
  co_return retained.segments > 0;
}

}  // namespace qlab::replication
