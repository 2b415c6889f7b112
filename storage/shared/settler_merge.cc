// The settler's second half: settled files become fewer and lose what does not count any more.

#include <algorithm>
#include <bit>

#include "common/check.h"
#include "storage/shared/settler.h"

namespace qlab::storage::shared {
namespace {

// So many files of about one size become one, so a batch is rewritten once per power of it.
constexpr std::size_t merge_files = 8;
// Beyond it the smallest are merged whatever their size: some slots stay free for what goes on.
constexpr std::size_t files_max = 48;
constexpr std::size_t blocks_per_turn = 16;

bool counts(const Stream* stream, const SettledBatch& batch, std::uint64_t file) {
  return stream && batch.next() > stream->start && batch.base < stream->cut_of(file);
}

// Files of one size class differ by less than the factor of a merge.
int size_class(std::uint64_t bytes, std::uint64_t segment_bytes) {
  constexpr int bits_per_class = std::bit_width(merge_files) - 1;
  return (static_cast<int>(std::bit_width(bytes / segment_bytes)) + bits_per_class - 1) /
         bits_per_class;
}

}  // namespace

std::vector<SettledFilePtr> Settler::files_to_merge() const {
  std::vector<SettledFilePtr> files = files_.all();
  std::stable_sort(files.begin(), files.end(), [](const auto& a, const auto& b) {
    return a->entry().bytes < b->entry().bytes;
  });
  const auto class_of = [&](const SettledFilePtr& file) {
    return size_class(file->entry().bytes, options_.segment_bytes);
  };
  for (std::size_t i = 0; i + merge_files <= files.size(); ++i) {
    const bool is_one_class = class_of(files[i]) == class_of(files[i + merge_files - 1]);
    if (!is_one_class && (i > 0 || files.size() <= files_max)) continue;
    const auto first = files.begin() + static_cast<std::ptrdiff_t>(i);
    return {first, first + merge_files};
  }
  return {};
}

Task<Result<void>> Settler::merge(std::vector<SettledFilePtr> files) {
  const Writing writing(*this);
  CO_TRY(std::unique_ptr<SettledWriter> writer, co_await begin_file());
  const Result<void> copied = co_await copy_live(*writer, files);
  if (!copied) {
    co_await writer->abandon(engine_);
    co_return copied;
  }
  std::uint64_t old_bits = 0;
  Manifest next = manifest_;
  for (const SettledFilePtr& file : files) {
    old_bits |= std::uint64_t{1} << file->entry().slot;
    std::erase_if(next.files, [&](const auto& entry) { return entry.number == file->number(); });
    std::erase(dying_, file);
  }
  CO_TRY(const SettledFilePtr merged, co_await commit(std::move(writer), std::move(next)));
  files_changed_ = true;
  const std::uint64_t new_bits = merged ? std::uint64_t{1} << merged->entry().slot : 0;
  co_await replace_bits(old_bits, new_bits);
  for (const SettledFilePtr& file : files) files_.retire(file->entry().slot);
  co_return Result<void>{};
}

Task<Result<void>> Settler::copy_live(SettledWriter& writer, std::vector<SettledFilePtr> files) {
  struct Head {
    SettledCursor cursor;
    const SettledBatch* batch;
  };
  std::vector<Head> heads;
  for (const SettledFilePtr& file : files) {
    heads.push_back({SettledCursor(file), nullptr});
    CO_TRY(heads.back().batch, co_await heads.back().cursor.next());
  }
  StreamId last_stream{0};
  Offset last_end;  // Of the batch that was copied last.
  while (true) {
    Head* least = nullptr;
    const auto order = [](const Head& head) {
      // Where two files have the same batch, the later one has what compaction left of it.
      return std::tuple(head.batch->stream, head.batch->base, ~head.cursor.file()->number());
    };
    for (Head& head : heads) {
      if (head.batch && (!least || order(head) < order(*least))) least = &head;
    }
    if (!least) break;
    const SettledBatch batch = *least->batch;
    const bool is_new = batch.stream != last_stream || batch.base >= last_end;
    if (is_new && counts(streams_.find(batch.stream), batch, least->cursor.file()->number())) {
      CO_TRY(const ByteView bytes, co_await least->cursor.bytes());
      writer.add(batch, bytes);
      last_stream = batch.stream;
      last_end = batch.next();
      if (writer.is_full()) {
        CO_TRY_VOID(co_await writer.flush());
        if (!files_.is_crowded()) CO_TRY_VOID(co_await catch_up());
      }
    }
    CO_TRY(least->batch, co_await least->cursor.next());
  }
  co_return Result<void>{};
}

Task<void> Settler::replace_bits(std::uint64_t old_bits, std::uint64_t new_bits) {
  for (std::size_t i = 0; i < streams_.blocks(); ++i) {
    StreamTable::Block* const block = streams_.block(i);
    for (std::size_t at = 0; block && at < block->size(); ++at) {
      Stream& stream = (*block)[at];
      if ((stream.files & old_bits) == 0) continue;
      stream.files = (stream.files & ~old_bits) | new_bits;
      std::uint64_t oldest = manifest_.next_file;
      for (std::uint64_t left = stream.files; left != 0; left &= left - 1) {
        const auto slot = static_cast<std::size_t>(std::countr_zero(left));
        oldest = std::min(oldest, files_.at(slot)->number());
      }
      std::erase_if(stream.cuts, [&](const Cut& cut) { return cut.file < oldest; });
    }
    if (i % blocks_per_turn == blocks_per_turn - 1) co_await yield();
  }
}

// Looks which files are for the greater part dead.
Task<Result<void>> Settler::find_dead_files() {
  dead_bytes_ = 0;
  dying_.clear();
  const std::vector<SettledFilePtr> files = files_.all();
  for (const SettledFilePtr& file : files) {
    std::uint64_t live = 0;
    SettledCursor cursor(file);
    while (true) {
      CO_TRY(const SettledBatch* const batch, co_await cursor.next());
      if (!batch) break;
      if (counts(streams_.find(batch->stream), *batch, file->number())) live += batch->bytes;
    }
    if (live < file->entry().footer_at / 2) dying_.push_back(file);
  }
  co_return Result<void>{};
}

}  // namespace qlab::storage::shared
