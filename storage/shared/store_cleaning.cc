// What becomes of old records: the store's part in deletion, retention and compaction.
//
// A stream has no segments of its own. Where a policy speaks of them, so many neighbouring batches
// as one segment would hold are meant, counted from the stream's start; the last ones are active.

#include <algorithm>

#include "storage/compaction.h"
#include "storage/shared/store.h"

namespace qlab::storage::shared {
namespace {

constexpr std::size_t run_batches_max = 1024;
constexpr std::size_t read_bytes = 1u << 20;

HashSecret draw_secret(Prng& random) {
  const std::uint64_t low = random.next();
  return {low, random.next()};
}

// Adds a batch to what would be one segment.
void extend(SegmentFacts& segment, Offset next, std::uint64_t bytes, std::int64_t timestamp) {
  if (segment.bytes == 0) segment.first_timestamp = timestamp;
  segment.end = next;
  segment.bytes += bytes;
  segment.max_timestamp = std::max(segment.max_timestamp, timestamp);
}

}  // namespace

Task<Result<void>> Store::delete_before(StreamId id, Offset start) {
  CO_TRY_VOID(co_await claim(id));
  const Result<void> result = co_await delete_claimed(id, start);
  release(id);
  co_return result;
}

Task<Result<void>> Store::delete_claimed(StreamId id, Offset start) {
  const Stream& from = stream(id);
  if (start > from.end) {
    co_return fail(Errc::out_of_range, "{}: deletion up to offset {}, and the log ends at {}",
                   from.name, start, from.end);
  }
  if (start <= from.start) co_return Result<void>{};
  CO_TRY(const std::uint64_t left, co_await bytes_between(id, start, from.end));
  co_return co_await cut(id, FrameKind::move_start, start, left);
}

// What would be the segment that begins at `from`: as many batches as fit, at least one.
Task<Result<SegmentFacts>> Store::segment_at(StreamId id, Offset from, std::uint64_t bytes_max) {
  SegmentFacts segment{.base = from, .end = from};
  const auto fits = [&](std::uint64_t bytes) {
    return segment.bytes == 0 || segment.bytes + bytes <= bytes_max;
  };
  while (true) {
    CO_TRY(const std::optional<SettledRun> run,
           co_await find_settled(id, segment.end, run_batches_max));
    if (!run) break;
    for (const SettledBatch& batch : run->batches) {
      if (!fits(batch.bytes)) co_return segment;
      extend(segment, batch.next(), batch.bytes, batch.max_timestamp);
    }
  }
  const Stream& of = stream(id);
  for (auto batch = find_unsettled(of, segment.end); batch != of.unsettled.end(); ++batch) {
    if (!fits(batch->bytes)) break;
    extend(segment, batch->next(), batch->bytes, batch->max_timestamp);
  }
  co_return segment;
}

Task<Result<RetentionOutcome>> Store::apply_retention(StreamId id, LogOptions options,
                                                      WallMillis now, Offset limit) {
  const Turnstile::Guard alone = co_await cleaning_.enter_alone();
  RetentionOutcome outcome;
  Offset start = stream(id).start;
  std::uint64_t left = stream(id).size_bytes;
  while (start < stream(id).end) {
    CO_TRY(const SegmentFacts front, co_await segment_at(id, start, options.segment_bytes));
    if (front.bytes == 0) break;
    std::vector<SegmentFacts> segments(1, front);
    if (front.bytes < left) {
      // What lies behind counts by its size alone.
      segments.push_back({.base = front.end, .end = stream(id).end, .bytes = left - front.bytes});
    }
    if (segments_to_delete(segments, options, now, start, limit) == 0) break;
    ++outcome.segments;
    outcome.bytes += front.bytes;
    start = front.end;
    left -= std::min(left, front.bytes);
  }
  if (outcome.segments > 0) CO_TRY_VOID(co_await delete_before(id, start));
  outcome.start = stream(id).start;
  co_return outcome;
}

Task<Result<CompactionOutcome>> Store::compact(StreamId id, LogOptions options, WallMillis now,
                                               Offset limit) {
  const Turnstile::Guard alone = co_await cleaning_.enter_alone();
  CompactionOutcome outcome;
  outcome.clean_end = stream(id).clean_end;
  if (!compacts(options.cleanup_policy)) co_return outcome;
  std::vector<SegmentFacts> segments;
  for (Offset at = stream(id).start; at < stream(id).end;) {
    CO_TRY(const SegmentFacts next, co_await segment_at(id, at, options.segment_bytes));
    if (next.bytes == 0) break;
    segments.push_back(next);
    at = next.end;
  }
  const bool rolls = !segments.empty() && is_roll_due(segments.back(), options, now);
  if (!segments.empty() && !rolls) segments.pop_back();
  const CompactionPlan plan = plan_compaction(segments, options, now, stream(id).clean_end, limit);
  if (!plan.is_due) co_return outcome;
  const Compaction job{.id = id,
                       .from = segments.front().base,
                       .to = segments[plan.segments - 1].end,
                       .dirty_from = plan.dirty_from,
                       .cuts = stream(id).cut_count,
                       .now = now};
  co_return co_await compact_range(job, std::move(options));
}

// Batches from the one on that holds `from` or is the next one, at least one.
// Requires: a batch ends behind `from`, and not behind `to`.
Task<Result<ReadResult>> Store::read_for(Compaction job, Offset from, Offset to) {
  // Others have their turn.
  co_await runtime::sleep_for(runtime_, Duration{});
  auto read = co_await this->read(job.id, from, to, read_bytes);
  if (stream(job.id).cut_count != job.cuts) {
    co_return fail(Errc::aborted, "{}: the log was cut", stream(job.id).name);
  }
  if (read && read->batches.empty()) {
    co_return fail(Errc::corrupt, "{}: nothing is there at offset {}, and the log reaches to {}",
                   stream(job.id).name, from, to);
  }
  co_return read;
}

// What a compaction knows, from its first pass on.
struct Store::Cleaning {
  Cleaning(Compaction compaction, const LogOptions& options, HashSecret secret)
      : job(compaction),
        delete_retention(options.delete_retention),
        keys(options.dedupe_buffer_bytes, secret, compaction.dirty_from) {}

  const Compaction job;
  const WallMillis delete_retention;
  DirtyKeys keys;
  ProducerTails producers;
  CompactionOutcome outcome;
};

// The first pass: the latest offset of every key that is dirty.
Task<Result<void>> Store::map_keys(Cleaning& cleaning) {
  const Compaction& job = cleaning.job;
  for (Offset at = job.from; at < job.to;) {
    CO_TRY(const ReadResult read, co_await read_for(job, at, job.to));
    at = read.next;
    for (ByteView rest(read.batches); !rest.empty();) {
      CO_TRY(const BatchHeader header, decode_batch_header(rest));
      const ByteView batch = rest.first(header.total_bytes());
      rest = rest.subspan(header.total_bytes());
      cleaning.producers.note(header);
      cleaning.outcome.bytes_before += batch.size();
      const bool is_clean = header.next_offset() <= cleaning.keys.end();
      if (cleaning.outcome.is_full || is_clean) continue;
      CO_TRY(const bool fitted, cleaning.keys.map_keys(batch));
      cleaning.outcome.is_full = !fitted;
    }
  }
  cleaning.outcome.clean_end = cleaning.keys.end();
  co_return Result<void>{};
}

// Writes what compaction leaves of a batch, if anything.
Result<void> Store::add_cleaned(Cleaning& cleaning, SettledWriter& writer, ByteView batch,
                                const BatchHeader& header) {
  const Compaction& job = cleaning.job;
  CompactionOutcome& outcome = cleaning.outcome;
  CleanedBatch cleaned;
  if (header.base_offset < std::min(cleaning.keys.end(), job.to)) {
    const CompactionPass pass{cleaning.keys, cleaning.producers, job.now,
                              cleaning.delete_retention};
    const bool is_last = header.next_offset() == job.to;
    TRY(cleaned, clean_batch(batch, pass, is_last));
    outcome.records_read += cleaned.records_read;
    outcome.records_kept += cleaned.records_kept;
  }
  if (cleaned.fate == CleanedBatch::Fate::dropped) return {};
  const bool is_rewritten = cleaned.fate == CleanedBatch::Fate::rewritten;
  const ByteView kept = is_rewritten ? ByteView(cleaned.bytes) : batch;
  TRY(const BatchHeader now, decode_batch_header(kept));
  if (header.base_offset < job.to) outcome.bytes_after += kept.size();
  const UnsettledBatch facts = unsettled_batch(now, Position());
  const SettledBatch settled{.stream = job.id,
                             .base = facts.base,
                             .last_offset_delta = facts.last_offset_delta,
                             .bytes = facts.bytes,
                             .max_timestamp = facts.max_timestamp,
                             .position = 0};
  writer.add(settled, kept);
  return {};
}

// The second pass. All that is settled moves to the new file, so that the older ones do not count
// any more; it ends at `to` at the latest, before which there may be a gap.
Task<Result<void>> Store::copy_cleaned(Cleaning& cleaning, SettledWriter& writer, Offset to) {
  const Compaction& job = cleaning.job;
  for (Offset at = job.from; at < to;) {
    if (at >= job.to) {
      CO_TRY(const std::optional<SettledRun> rest, co_await find_settled(job.id, at, 1));
      if (!rest) break;
    }
    CO_TRY(const ReadResult read, co_await read_for(job, at, to));
    at = read.next;
    for (ByteView rest(read.batches); !rest.empty();) {
      CO_TRY(const BatchHeader header, decode_batch_header(rest));
      const ByteView batch = rest.first(header.total_bytes());
      rest = rest.subspan(header.total_bytes());
      CO_TRY_VOID(add_cleaned(cleaning, writer, batch, header));
      if (writer.is_full()) CO_TRY_VOID(co_await writer.flush());
    }
  }
  co_return Result<void>{};
}

Task<Result<CompactionOutcome>> Store::compact_range(Compaction job, LogOptions options) {
  Cleaning cleaning(job, options, draw_secret(runtime_.random()));
  cleaning.outcome.ran = true;
  CO_TRY_VOID(co_await map_keys(cleaning));
  CO_TRY_VOID(co_await settler_.wait_for_slot());
  const Settler::Rest rest = co_await settler_.rest();
  const Settler::Writing writing(settler_);
  CO_TRY(std::unique_ptr<SettledWriter> writer, co_await settler_.begin_file());
  const Stream& of = stream(job.id);
  const Offset settled_end = of.unsettled.empty() ? of.end : of.unsettled.front().base;
  const Offset to = std::max(job.to, settled_end);
  Result<void> copied = co_await copy_cleaned(cleaning, *writer, to);
  if (copied) copied = co_await replace_files(job, std::move(writer), to);
  if (writer) co_await writer->abandon(engine_);
  if (!copied) co_return fail(copied.error());
  if (Stream* const cleaned = streams_.find(job.id)) {
    cleaned->clean_end = cleaning.outcome.clean_end;
  }
  co_return cleaning.outcome;
}

// Lets the new file stand for all settled files of the stream, and for what is not settled below
// `to`.
Task<Result<void>> Store::replace_files(Compaction job, std::unique_ptr<SettledWriter> writer,
                                        Offset to) {
  const std::uint64_t number = writer->number();
  const Result<void> claimed = co_await claim(job.id);
  if (!claimed || stream(job.id).cut_count != job.cuts) {
    if (claimed) release(job.id);
    co_await writer->abandon(engine_);
    if (!claimed) co_return claimed;
    co_return fail(Errc::aborted, "{}: the log was cut", stream(job.id).name);
  }
  std::uint64_t size = writer->data_bytes();
  for (const UnsettledBatch& batch : stream(job.id).unsettled) {
    if (batch.base >= to) size += batch.bytes;
  }
  const auto file = co_await settler_.commit(std::move(writer), settler_.manifest());
  Result<void> result;
  if (!file) {
    result = fail(file.error());
  } else {
    // The older files count until the frame is written; both say the same, but for what is clean.
    if (*file) streams_.find(job.id)->files |= std::uint64_t{1} << (*file)->entry().slot;
    const WalGroupPtr group = wal_.open_group();
    const Truncation truncation{.offset = to, .file = number - 1, .size_bytes = size};
    wal_.put(*group, FrameKind::supersede, job.id, encode_truncation(truncation));
    result = co_await wal_.wait(group);
    if (result) result = co_await wal_.sync();
  }
  release(job.id);
  co_return result;
}

}  // namespace qlab::storage::shared
