#include <algorithm>

#include "storage/partition_log.h"
#include "storage/record_time.h"

namespace qlab::storage {
namespace {

using Found = std::optional<Log::TimestampOffset>;

}  // namespace

Task<Result<ReadResult>> PartitionLog::read(Offset from, Offset limit, std::size_t bytes_max) {
  const Turnstile::Guard inside = co_await structure_.visit();
  if (closed_) co_return fail(Errc::closed, "{} is closed", directory_);
  if (from < start_ || from > end_) {
    co_return fail(Errc::out_of_range, "{}: offset {} is not in [{}, {}]", directory_, from, start_,
                   end_);
  }
  limit = std::min(limit, end_);
  if (from >= limit) co_return ReadResult{{}, from};
  if (segments_.empty()) CO_TRY_VOID(usable());  // A reset failed half-way and said so.
  co_return co_await read_segment(segments_[index_of(from)], from, limit, bytes_max);
}

Task<Result<ReadResult>> PartitionLog::read_segment(SegmentPtr segment, Offset from, Offset limit,
                                                    std::size_t bytes_max) {
  CO_TRY(const auto first, co_await segment->find(from));
  if (!first) co_return fail(Errc::corrupt, "{} does not hold offset {}", segment->path(), from);
  if (first->header.next_offset() > limit) co_return ReadResult{{}, from};
  const std::size_t wanted = std::max(bytes_max, first->header.total_bytes());
  CO_TRY(Bytes bytes, co_await segment->data().read(first->position, wanted));

  std::size_t good = 0;
  Offset next = from;
  while (good < bytes.size()) {
    const Result<BatchHeader> header = check_batch(ByteView(bytes).subspan(good));
    if (!header && good > 0) break;  // Cut short by bytes_max, or bad and for the next read to say.
    if (!header) {
      co_return fail(Errc::corrupt, "{} at position {}: {}", segment->path(), first->position,
                     header.error().context);
    }
    if (header->next_offset() > limit) break;
    good += header->total_bytes();
    next = header->next_offset();
  }
  bytes.resize(good);
  co_return ReadResult{std::move(bytes), next};
}

Task<Result<Found>> PartitionLog::find_timestamp(std::int64_t timestamp, Offset limit) {
  const Turnstile::Guard inside = co_await structure_.visit();
  if (closed_) co_return fail(Errc::closed, "{} is closed", directory_);
  limit = std::min(limit, end_);
  const std::vector<SegmentPtr> segments = segments_;
  for (const SegmentPtr& segment : segments) {
    if (segment->base() >= limit) break;
    CO_TRY_VOID(co_await segment->index());
    if (segment->max_timestamp() < timestamp) continue;
    CO_TRY(const Found found, co_await find_in_segment(segment, timestamp, limit));
    if (found) co_return found;
  }
  co_return Found{};
}

Task<Result<Found>> PartitionLog::find_in_segment(SegmentPtr segment, std::int64_t timestamp,
                                                  Offset limit) {
  BatchScanner scanner(segment->data(), segment->position_near_time(timestamp),
                       segment->noted_end(), BatchCheck::header);
  while (true) {
    auto batch = co_await scanner.next();
    if (!batch) {
      co_return fail(batch.error().code, "{} at position {}: {}", segment->path(),
                     scanner.position(), batch.error().context);
    }
    if (!*batch || (*batch)->header.next_offset() > limit) co_return Found{};
    const BatchHeader& header = (*batch)->header;
    if (header.max_timestamp < timestamp) continue;
    CO_TRY(const Bytes bytes,
           co_await segment->data().read((*batch)->position, header.total_bytes()));
    CO_TRY_VOID(check_batch(bytes));
    CO_TRY(const Found found, first_at_time(bytes, timestamp, start_));
    if (found) co_return found;
  }
}

}  // namespace qlab::storage
