#include <algorithm>

#include "storage/partition_log.h"
#include "storage/record_time.h"

namespace qlab::storage {
namespace {

using Found = std::optional<Log::TimestampOffset>;

// What a read takes along at most to find its first batch: the default index interval, with room.
constexpr std::size_t skipped_bytes_max = 8u << 10;

// Where in `bytes`, which begin with a batch, the first batch that ends beyond `offset` begins.
// Nothing when it is not in them whole, or when something that is no batch comes before it.
std::optional<std::size_t> batch_with(ByteView bytes, Offset offset) {
  std::size_t at = 0;
  while (true) {
    const Result<BatchHeader> header = decode_batch_header(bytes.subspan(at));
    if (!header || header->total_bytes() > bytes.size() - at) return std::nullopt;
    if (header->next_offset() > offset) return at;
    at += header->total_bytes();
  }
}

}  // namespace

Task<Result<ReadResult>> PartitionLog::read(Offset from, Offset limit, std::size_t bytes_max) {
  std::optional<Turnstile::Guard> inside = turns().structure.try_visit();
  if (!inside) inside.emplace(co_await turns().structure.visit());
  if (closed_) co_return fail(Errc::closed, "{} is closed", directory_);
  if (from < start_ || from > end_) {
    co_return fail(Errc::out_of_range, "{}: offset {} is not in [{}, {}]", directory_, from, start_,
                   end_);
  }
  if (lost_ && from >= durable_end_ && from < end_) co_return fail(*failed_);
  limit = std::min(limit, lost_ ? durable_end_ : end_);
  if (from >= limit) co_return ReadResult{{}, from};
  if (segments_.empty()) CO_TRY_VOID(usable());  // A reset failed half-way and said so.
  co_return co_await read_segment(segments_[index_of(from)], from, limit, bytes_max);
}

Task<Result<ReadResult>> PartitionLog::read_segment(SegmentPtr segment, Offset from, Offset limit,
                                                    std::size_t bytes_max) {
  if (!segment->is_indexed()) CO_TRY_VOID(co_await segment->index());
  // Where the index is near enough, one read gives the batches before `from` and those asked for.
  std::uint64_t position = segment->position_near(from);
  const std::size_t before =
      std::min<std::size_t>(options_->index_interval_bytes, skipped_bytes_max);
  CO_TRY(Bytes bytes, co_await segment->data().read(position, before + bytes_max));
  std::optional<std::size_t> front = batch_with(bytes, from);
  if (!front) {
    CO_TRY(const auto first, co_await segment->find(from));
    if (!first) co_return fail(Errc::corrupt, "{} does not hold offset {}", segment->path(), from);
    position = first->position;
    const std::size_t wanted = std::max(bytes_max, first->header.total_bytes());
    CO_TRY(bytes, co_await segment->data().read(position, wanted));
    front = 0;
  }

  const ByteView batches = ByteView(bytes).subspan(*front);
  std::size_t good = 0;
  Offset next = from;
  while (good < batches.size()) {
    const Result<BatchHeader> header = check_batch(batches.subspan(good));
    if (!header && good > 0) break;  // Cut short, or bad and for the next read to say.
    if (!header) {
      co_return fail(Errc::corrupt, "{} at position {}: {}", segment->path(), position + *front,
                     header.error().context);
    }
    if (header->next_offset() > limit) break;
    if (good > 0 && good + header->total_bytes() > bytes_max) break;
    good += header->total_bytes();
    next = header->next_offset();
  }
  bytes.resize(*front + good);
  bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(*front));
  co_return ReadResult{std::move(bytes), next};
}

Task<Result<Found>> PartitionLog::find_timestamp(std::int64_t timestamp, Offset limit) {
  const Turnstile::Guard inside = co_await turns().structure.visit();
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
