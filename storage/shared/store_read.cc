// How a store answers reads: from the settled files, the shared log, or what is still in memory.

#include <algorithm>

#include "storage/record_time.h"
#include "storage/shared/store.h"

namespace qlab::storage::shared {
namespace {

// One read of the shared log brings at most this much besides the batch it is for: behind it lie
// the batches of others.
constexpr std::size_t window_bytes = 64u << 10;

// Checks that `bytes` are the batch that is meant. Errors: corrupt.
Result<void> check_meant(ByteView bytes, const UnsettledBatch& batch, std::string_view stream) {
  const Result<BatchHeader> header = check_batch(bytes);
  if (!header) {
    return fail(Errc::corrupt,
                "{}: the batch at offset {}, byte {} of segment {} of the shared "
                "log: {}",
                stream, batch.base, batch.at.byte, batch.at.segment, header.error().context);
  }
  if (header->base_offset != batch.base) {
    return fail(Errc::corrupt,
                "{}: byte {} of segment {} of the shared log holds a batch at "
                "offset {}, not {}",
                stream, batch.at.byte, batch.at.segment, header->base_offset, batch.base);
  }
  return {};
}

}  // namespace

Task<Result<ReadResult>> Store::read(StreamId id, Offset from, Offset limit,
                                     std::size_t bytes_max) {
  const Turnstile::Guard inside = co_await readers_.visit();
  const Stream& of = stream(id);
  if (from < of.start || from > of.end) {
    co_return fail(Errc::out_of_range, "{}: offset {} is not in [{}, {}]", of.name, from, of.start,
                   of.end);
  }
  limit = std::min(limit, of.end);
  if (from >= limit) co_return ReadResult{{}, from};
  if (wal_.failure()) {
    // Nothing is known of what was not synced.
    if (from >= of.durable_end) co_return fail(*wal_.failure());
    limit = std::min(limit, of.durable_end);
  }
  const auto first = find_unsettled(of, from);
  if (first == of.unsettled.end()) {
    co_return fail(Errc::corrupt, "{} does not hold offset {}", of.name, from);
  }
  std::vector<UnsettledBatch> wanted;
  std::size_t bytes = 0;
  for (auto batch = first; batch != of.unsettled.end() && batch->next() <= limit; ++batch) {
    bytes += batch->bytes;
    if (!wanted.empty() && bytes > bytes_max) break;
    wanted.push_back(*batch);
  }
  co_return co_await read_batches(id, std::move(wanted), from);
}

Task<Result<ReadResult>> Store::read_batches(StreamId id, std::vector<UnsettledBatch> wanted,
                                             Offset from) {
  ReadResult result{{}, from};
  Bytes window;
  Position window_at;
  for (const UnsettledBatch& batch : wanted) {
    const auto cached = wal_.cache().find(batch.at, batch.bytes);
    ByteView bytes;
    if (cached) {
      bytes = cached->bytes;
    } else {
      const bool here = batch.at.segment == window_at.segment && batch.at >= window_at &&
                        batch.at.byte + batch.bytes <= window_at.byte + window.size();
      if (!here) {
        auto read = co_await wal_.read(batch.at, std::max<std::size_t>(batch.bytes, window_bytes));
        if (!read) {
          if (!result.batches.empty()) break;  // For the next read to say.
          co_return fail(std::move(read).error());
        }
        window = std::move(*read);
        window_at = batch.at;
      }
      bytes = ByteView(window).subspan(batch.at.byte - window_at.byte);
      bytes = bytes.first(std::min<std::size_t>(bytes.size(), batch.bytes));
    }
    const Result<void> meant = check_meant(bytes, batch, stream(id).name);
    if (!meant && result.batches.empty()) co_return fail(meant.error());
    if (!meant) break;
    result.batches.insert(result.batches.end(), bytes.begin(), bytes.end());
    result.next = batch.next();
  }
  co_return result;
}

Task<Result<std::optional<Log::TimestampOffset>>> Store::find_timestamp(StreamId id,
                                                                        std::int64_t timestamp,
                                                                        Offset limit) {
  using Found = std::optional<Log::TimestampOffset>;
  const Turnstile::Guard inside = co_await readers_.visit();
  const std::vector<UnsettledBatch> unsettled = stream(id).unsettled;
  limit = std::min(limit, stream(id).end);
  for (const UnsettledBatch& batch : unsettled) {
    if (batch.next() > limit) break;
    if (batch.max_timestamp < timestamp) continue;
    std::vector<UnsettledBatch> one(1, batch);
    CO_TRY(const ReadResult read, co_await read_batches(id, std::move(one), batch.base));
    CO_TRY(const Found found, first_at_time(read.batches, timestamp));
    if (found) co_return found;
  }
  co_return Found{};
}

}  // namespace qlab::storage::shared
