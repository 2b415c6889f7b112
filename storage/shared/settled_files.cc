#include "storage/shared/settled_files.h"

#include <algorithm>
#include <bit>

#include "common/check.h"

namespace qlab::storage::shared {
namespace {

constexpr std::size_t window_bytes = 1u << 20;

Offset cut_of(const std::vector<Cut>& cuts, std::uint64_t file) {
  Stream stream;
  stream.cuts = cuts;
  return stream.cut_of(file);
}

}  // namespace

std::optional<std::uint8_t> SettledFiles::free_slot() const {
  for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
    if (!slots_[slot]) return static_cast<std::uint8_t>(slot);
  }
  return {};
}

bool SettledFiles::is_crowded() const {
  constexpr std::ptrdiff_t free_min = 8;
  return std::count(slots_.begin(), slots_.end(), nullptr) < free_min;
}

void SettledFiles::put(SettledFilePtr file) {
  SettledFilePtr& slot = slots_[file->entry().slot];
  CHECK(slot == nullptr);
  slot = std::move(file);
}

void SettledFiles::retire(std::size_t slot) {
  retired_.push_back(std::move(slots_[slot]));
  slots_[slot] = nullptr;
}

Task<Result<void>> SettledFiles::reap() {
  const auto unused =
      std::stable_partition(retired_.begin(), retired_.end(),
                            [](const SettledFilePtr& file) { return file.use_count() > 1; });
  const std::vector<SettledFilePtr> gone(unused, retired_.end());
  retired_.erase(unused, retired_.end());
  for (const SettledFilePtr& file : gone) {
    CO_TRY_VOID(co_await file->data().close());
    CO_TRY_VOID(engine_.remove(file->path()));
  }
  co_return Result<void>{};
}

Task<Result<void>> SettledFiles::close() {
  Result<void> result = co_await reap();
  const std::vector<SettledFilePtr> files = all();
  for (const SettledFilePtr& file : files) {
    const Result<void> closed = co_await file->data().close();
    if (result) result = closed;
    slots_[file->entry().slot] = nullptr;
  }
  co_return result;
}

std::vector<SettledFilePtr> SettledFiles::all() const {
  std::vector<SettledFilePtr> files;
  for (const SettledFilePtr& file : slots_) {
    if (file) files.push_back(file);
  }
  std::sort(files.begin(), files.end(), [](const SettledFilePtr& a, const SettledFilePtr& b) {
    return a->number() < b->number();
  });
  return files;
}

std::vector<SettledFileEntry> SettledFiles::entries() const {
  std::vector<SettledFileEntry> entries;
  for (const SettledFilePtr& file : all()) entries.push_back(file->entry());
  return entries;
}

SlotNumbers SettledFiles::numbers() const {
  SlotNumbers numbers{};
  for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
    if (slots_[slot]) numbers[slot] = slots_[slot]->number();
  }
  return numbers;
}

Task<Result<std::optional<SettledRun>>> SettledFiles::find(Question stream, Offset offset,
                                                           std::size_t count) {
  std::optional<SettledRun> best;
  for (std::uint64_t left = stream.files; left != 0; left &= left - 1) {
    const SettledFilePtr file = slots_[static_cast<std::size_t>(std::countr_zero(left))];
    if (!file) continue;  // Given up meanwhile; the caller sees that its bits changed.
    CO_TRY(std::vector<SettledBatch> batches,
           co_await file->find(stream.id, offset, count, footers_));
    const Offset cut = cut_of(stream.cuts, file->number());
    std::size_t kept = 0;
    while (kept < batches.size() && batches[kept].base < cut &&
           (kept == 0 || batches[kept].base == batches[kept - 1].next())) {
      ++kept;
    }
    batches.resize(kept);
    if (batches.empty()) continue;
    const Offset base = batches.front().base;
    const bool is_better = !best || base < best->base() ||
                           (base == best->base() && file->number() > best->file->number());
    if (is_better) best = SettledRun{file, std::move(batches)};
  }
  co_return best;
}

Task<Result<Bytes>> SettledFiles::read(SettledRun run) {
  const std::uint64_t from = run.batches.front().position;
  const std::uint64_t to = run.batches.back().position + run.batches.back().bytes;
  CO_TRY(Bytes bytes, co_await run.file->data().read(from, static_cast<std::size_t>(to - from)));
  std::size_t good = 0;
  for (const SettledBatch& batch : run.batches) {
    Result<BatchHeader> header = check_batch(ByteView(bytes).subspan(good));
    if (header && header->base_offset != batch.base) {
      header = fail(Errc::corrupt, "a batch at offset {} instead of {}", header->base_offset,
                    batch.base);
    }
    if (!header && good > 0) break;  // For the next read to say.
    if (!header) {
      co_return fail(Errc::corrupt, "{} at position {}: {}", run.file->path(), batch.position,
                     header.error().context);
    }
    good += batch.bytes;
  }
  bytes.resize(good);
  co_return bytes;
}

Task<Result<const SettledBatch*>> SettledCursor::next() {
  if (!block_ || at_ == block_->size()) {
    if (blocks_read_ == file_->blocks()) co_return nullptr;
    CO_TRY(block_, co_await file_->block(blocks_read_, unused_));
    ++blocks_read_;
    at_ = 0;
  }
  co_return &(*block_)[at_++];
}

Task<Result<ByteView>> SettledCursor::bytes() {
  const SettledBatch& batch = (*block_)[at_ - 1];
  const bool here =
      batch.position >= window_at_ && batch.position + batch.bytes <= window_at_ + window_.size();
  if (!here) {
    const std::size_t count = std::max<std::size_t>(window_bytes, batch.bytes);
    const std::uint64_t left = file_->entry().footer_at - batch.position;
    CO_TRY(window_,
           co_await file_->data().read(
               batch.position, static_cast<std::size_t>(std::min<std::uint64_t>(count, left))));
    window_at_ = batch.position;
    if (window_.size() < batch.bytes) {
      co_return fail(Errc::corrupt, "{} ends within its batches", file_->path());
    }
  }
  co_return ByteView(window_).subspan(static_cast<std::size_t>(batch.position - window_at_),
                                      batch.bytes);
}

}  // namespace qlab::storage::shared
