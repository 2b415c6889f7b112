// How a store answers reads: from the settled files, the shared log, or what is still in memory.

#include <algorithm>

#include "storage/record_time.h"
#include "storage/shared/store.h"

namespace qlab::storage::shared {
namespace {

// One read of the shared log brings at most this much besides the batch it is for: behind it lie
// the batches of others.
constexpr std::size_t window_bytes = 64u << 10;
constexpr std::size_t run_batches_max = 1024;

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

// Batches are settled from the front, so whatever is settled lies before what is not.
Task<Result<std::optional<SettledRun>>> Store::find_settled(StreamId id, Offset offset,
                                                            std::size_t count) {
  while (true) {
    const Stream& of = stream(id);
    const std::uint64_t files = of.files;
    const bool may_be = files != 0 && (of.unsettled.empty() || offset < of.unsettled.front().base);
    if (!may_be) co_return std::optional<SettledRun>{};
    auto found = co_await files_.find(SettledFiles::question(id, of), offset, count);
    // What moved into a settled file meanwhile, or from one to another, may have been missed.
    if (stream(id).files != files) continue;
    co_return found;
  }
}

Task<Result<std::uint64_t>> Store::bytes_between(StreamId id, Offset from, Offset to) {
  std::uint64_t bytes = 0;
  while (from < to) {
    CO_TRY(const std::optional<SettledRun> run, co_await find_settled(id, from, run_batches_max));
    if (!run) break;
    for (const SettledBatch& batch : run->batches) {
      if (batch.base < to) bytes += batch.bytes;
      from = batch.next();
    }
  }
  const Stream& of = stream(id);
  for (auto batch = find_unsettled(of, from); batch != of.unsettled.end(); ++batch) {
    if (batch->base < to) bytes += batch->bytes;
  }
  co_return bytes;
}

Task<Result<ReadResult>> Store::read(StreamId id, Offset from, Offset limit,
                                     std::size_t bytes_max) {
  const Turnstile::Guard inside = co_await readers_.visit();
  if (from < stream(id).start || from > stream(id).end) {
    co_return fail(Errc::out_of_range, "{}: offset {} is not in [{}, {}]", stream(id).name, from,
                   stream(id).start, stream(id).end);
  }
  limit = std::min(limit, stream(id).end);
  if (from >= limit) co_return ReadResult{{}, from};
  if (wal_.failure()) {
    // Nothing is known of what was not synced.
    if (from >= stream(id).durable_end) co_return fail(*wal_.failure());
    limit = std::min(limit, stream(id).durable_end);
  }
  const std::size_t batches_max = 1 + bytes_max / batch_header_bytes;
  auto settled = co_await find_settled(id, from, std::min(batches_max, run_batches_max));
  if (!settled) co_return fail(std::move(settled).error());
  if (*settled) co_return co_await read_settled(std::move(**settled), from, limit, bytes_max);
  const Stream& of = stream(id);
  std::vector<UnsettledBatch> wanted;
  std::size_t bytes = 0;
  for (auto batch = find_unsettled(of, from); batch != of.unsettled.end() && batch->next() <= limit;
       ++batch) {
    bytes += batch->bytes;
    if (!wanted.empty() && bytes > bytes_max) break;
    wanted.push_back(*batch);
  }
  co_return co_await read_batches(id, std::move(wanted), from);
}

Task<Result<ReadResult>> Store::read_settled(SettledRun run, Offset from, Offset limit,
                                             std::size_t bytes_max) {
  std::size_t kept = 0;
  std::size_t bytes = 0;
  for (const SettledBatch& batch : run.batches) {
    bytes += batch.bytes;
    if (batch.next() > limit || (kept > 0 && bytes > bytes_max)) break;
    ++kept;
  }
  if (kept == 0) co_return ReadResult{{}, from};
  run.batches.resize(kept);
  const std::vector<SettledBatch> batches = run.batches;
  CO_TRY(Bytes read, co_await files_.read(std::move(run)));
  std::size_t at = 0;
  Offset next = from;
  for (const SettledBatch& batch : batches) {
    at += batch.bytes;
    if (at > read.size()) break;
    next = batch.next();
  }
  co_return ReadResult{std::move(read), next};
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
  limit = std::min(limit, stream(id).end);
  Offset from = stream(id).start;
  while (from < limit) {
    CO_TRY(const std::optional<SettledRun> run, co_await find_settled(id, from, run_batches_max));
    for (std::size_t i = 0; run && i < run->batches.size(); ++i) {
      const SettledBatch& batch = run->batches[i];
      if (batch.next() > limit) co_return Found{};
      from = batch.next();
      if (batch.max_timestamp < timestamp) continue;
      SettledRun one{run->file, std::vector<SettledBatch>(1, batch)};
      CO_TRY(const Bytes bytes, co_await files_.read(std::move(one)));
      CO_TRY(const Found found, first_at_time(bytes, timestamp));
      if (found) co_return found;
    }
    if (run) continue;
    const Stream& of = stream(id);
    auto batch = find_unsettled(of, from);
    while (batch != of.unsettled.end() && batch->max_timestamp < timestamp) ++batch;
    if (batch == of.unsettled.end() || batch->next() > limit) break;
    from = batch->next();
    std::vector<UnsettledBatch> one(1, *batch);
    CO_TRY(const ReadResult read, co_await read_batches(id, std::move(one), batch->base));
    CO_TRY(const Found found, first_at_time(read.batches, timestamp));
    if (found) co_return found;
  }
  co_return Found{};
}

}  // namespace qlab::storage::shared
