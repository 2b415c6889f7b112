#include "storage/shared/tail_cache.h"

#include <algorithm>

namespace qlab::storage::shared {

void TailCache::add(Position at, Chunk chunk) {
  bytes_ += chunk->capacity();
  entries_.push_back({at, std::move(chunk)});
  while (bytes_ > bytes_max_) {
    bytes_ -= entries_.front().chunk->capacity();
    entries_.pop_front();
  }
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
