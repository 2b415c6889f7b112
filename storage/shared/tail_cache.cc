#include "storage/shared/tail_cache.h"

#include <algorithm>

namespace qlab::storage::shared {
namespace {

constexpr std::size_t spare_max = 4;

}  // namespace

void TailCache::add(Position at, Chunk chunk) {
  bytes_ += chunk->capacity();
  entries_.push_back({at, std::move(chunk)});
  while (bytes_ > bytes_max_) {
    Chunk old = std::move(entries_.front().chunk);
    entries_.pop_front();
    bytes_ -= old->capacity();
    if (old.use_count() == 1 && spare_.size() < spare_max) spare_.push_back(std::move(old));
  }
}

TailCache::Chunk TailCache::make_buffer() {
  if (spare_.empty()) return std::make_shared<Bytes>();
  Chunk chunk = std::move(spare_.back());
  spare_.pop_back();
  chunk->clear();
  return chunk;
}

std::optional<TailCache::View> TailCache::find(Position at, std::size_t count) const {
  const auto beyond =
      std::upper_bound(entries_.begin(), entries_.end(), at,
                       [](Position wanted, const Entry& entry) { return wanted < entry.at; });
  if (beyond == entries_.begin()) return {};
  const Entry& entry = *std::prev(beyond);
  if (entry.at.segment != at.segment) return {};
  const std::size_t offset = at.byte - entry.at.byte;
  if (offset + count > entry.chunk->size()) return {};
  return View{entry.chunk, ByteView(*entry.chunk).subspan(offset, count)};
}

void TailCache::clear() {
  entries_.clear();
  bytes_ = 0;
}

}  // namespace qlab::storage::shared
