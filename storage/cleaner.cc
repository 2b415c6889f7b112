#include "storage/cleaner.h"

#include <algorithm>

#include "runtime/async.h"

namespace qlab::storage {
namespace {

constexpr std::size_t window_bytes = 1u << 20;  // Read, and written, at a time.

HashSecret draw_secret(Prng& random) {
  const std::uint64_t low = random.next();
  return {low, random.next()};
}

// The whole batches of one sealed segment, with their checksums checked.
class SealedBatches {
 public:
  SealedBatches(runtime::Runtime& runtime, const ReadSealed& read,
                std::shared_ptr<LogSegment> segment)
      : runtime_(runtime), read_(read), segment_(std::move(segment)), end_(segment_->noted_end()) {}

  // The next batch, there until the next call; empty at the end.
  Task<Result<ByteView>> next() {
    position_ += batch_bytes_;
    batch_bytes_ = 0;
    if (position_ == end_) co_return ByteView{};
    Result<BatchHeader> header = check_batch(here());
    if (!header && header.error().code == Errc::torn) {
      const auto whole = decode_batch_header(here());
      CO_TRY_VOID(co_await load(whole ? whole->total_bytes() : window_bytes));
      header = check_batch(here());
    }
    if (!header) {
      co_return fail(Errc::corrupt, "{} at position {}: {}", segment_->path(), position_,
                     header.error().context);
    }
    batch_bytes_ = header->total_bytes();
    co_return here().first(batch_bytes_);
  }

 private:
  ByteView here() const { return ByteView(bytes_).subspan(position_ - bytes_start_); }

  // Others have their turn between two windows, even where a read waits for nothing.
  Task<Result<void>> load(std::size_t count) {
    co_await runtime::sleep_for(runtime_, Duration{});
    const std::uint64_t left = end_ - position_;
    const auto wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(left, std::max(count, window_bytes)));
    CO_TRY(bytes_, co_await read_(segment_, position_, wanted));
    bytes_start_ = position_;
    co_return Result<void>{};
  }

  runtime::Runtime& runtime_;
  const ReadSealed& read_;
  const std::shared_ptr<LogSegment> segment_;
  const std::uint64_t end_;
  std::uint64_t position_ = 0;     // Of the batch given last; position_ <= end_.
  std::size_t batch_bytes_ = 0;    // Of it.
  Bytes bytes_;                    // Of the segment, from bytes_start_ on.
  std::uint64_t bytes_start_ = 0;  // bytes_start_ <= position_
};

// Gathers what is written to a segment.
class SegmentWriter {
 public:
  explicit SegmentWriter(LogSegment& segment) : segment_(segment) {}

  Task<Result<void>> put(ByteView batch) {
    CO_TRY(const BatchHeader header, decode_batch_header(batch));
    segment_.note({segment_.noted_end(), header});
    bytes_.insert(bytes_.end(), batch.begin(), batch.end());
    if (bytes_.size() >= window_bytes) co_return co_await flush();
    co_return Result<void>{};
  }
  Task<Result<void>> flush() {
    if (bytes_.empty()) co_return Result<void>{};
    const Bytes bytes = std::exchange(bytes_, {});
    co_return co_await segment_.data().append(std::vector<ByteView>(1, bytes));
  }

 private:
  LogSegment& segment_;
  Bytes bytes_;
};

}  // namespace

Cleaner::Cleaner(runtime::Runtime& runtime, const LogOptions& options, ReadSealed read,
                 std::vector<SealedSegment> segments, Offset dirty_from)
    : runtime_(runtime),
      options_(options),
      read_(std::move(read)),
      segments_(std::move(segments)),
      keys_(options.dedupe_buffer_bytes, draw_secret(runtime.random()), dirty_from) {
  outcome_.ran = true;
}

Task<Result<void>> Cleaner::map_keys() {
  for (std::size_t i = 0; i < segments_.size(); ++i) CO_TRY_VOID(co_await map_segment(i));
  outcome_.clean_end = keys_.end();
  outcome_.is_full = full_;
  co_return Result<void>{};
}

Task<Result<void>> Cleaner::map_segment(std::size_t index) {
  SealedBatches batches(runtime_, read_, segments_[index].segment);
  while (true) {
    CO_TRY(const ByteView batch, co_await batches.next());
    if (batch.empty()) co_return Result<void>{};
    CO_TRY(const BatchHeader header, decode_batch_header(batch));
    producers_.note(header);
    if (full_ || header.next_offset() <= keys_.end()) continue;
    CO_TRY(const bool fitted, keys_.map_keys(batch));
    full_ = !fitted;
  }
}

Cleaner::Group Cleaner::next_group(std::size_t first) const {
  // A segment of which no key was seen stays as it is.
  std::vector<SegmentFacts> facts;
  for (std::size_t i = first; i < segments_.size(); ++i) {
    if (segments_[i].facts.base < keys_.end()) facts.push_back(segments_[i].facts);
  }
  if (facts.empty()) return {first, first};
  return {first, first + segments_to_group(facts, options_.segment_bytes)};
}

Task<Result<bool>> Cleaner::rewrite(Group group, std::shared_ptr<LogSegment> into, WallMillis now) {
  const CompactionPass pass{keys_, producers_, now, options_.delete_retention};
  const Offset end = segments_[group.last - 1].facts.end;
  bool changed = group.last - group.first > 1;
  for (std::size_t i = group.first; i < group.last; ++i) {
    CO_TRY(const bool rewritten, co_await rewrite_segment(i, end, pass, into));
    changed = changed || rewritten;
    outcome_.bytes_before += segments_[i].facts.bytes;
  }
  outcome_.bytes_after += into->noted_end();
  co_return changed;
}

Task<Result<bool>> Cleaner::rewrite_segment(std::size_t index, Offset group_end,
                                            CompactionPass pass, std::shared_ptr<LogSegment> into) {
  SealedBatches batches(runtime_, read_, segments_[index].segment);
  SegmentWriter writer(*into);
  bool changed = false;
  while (true) {
    CO_TRY(const ByteView batch, co_await batches.next());
    if (batch.empty()) break;
    CO_TRY(const BatchHeader header, decode_batch_header(batch));
    const bool is_last = header.next_offset() == group_end;
    CO_TRY(const CleanedBatch cleaned, clean_batch(batch, pass, is_last));
    outcome_.records_read += cleaned.records_read;
    outcome_.records_kept += cleaned.records_kept;
    if (cleaned.fate != CleanedBatch::Fate::kept) changed = true;
    if (cleaned.fate == CleanedBatch::Fate::kept) CO_TRY_VOID(co_await writer.put(batch));
    if (cleaned.fate == CleanedBatch::Fate::rewritten) {
      CO_TRY_VOID(co_await writer.put(cleaned.bytes));
    }
  }
  CO_TRY_VOID(co_await writer.flush());
  co_return changed;
}

}  // namespace qlab::storage
