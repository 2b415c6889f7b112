#include "storage/time_index.h"

#include <algorithm>
#include <limits>

#include "common/check.h"

namespace qlab::storage {
namespace {

constexpr std::size_t entry_bytes = 12;

}  // namespace

void TimeIndex::append(Entry entry) {
  if (!entries_.empty() && entry.timestamp <= entries_.back().timestamp) return;
  CHECK(entry.offset >= base_);
  CHECK(entry.offset - base_ <= std::numeric_limits<std::int32_t>::max());
  CHECK(entries_.empty() || entry.offset > entries_.back().offset);
  entries_.push_back(entry);
}

Offset TimeIndex::offset_near(std::int64_t timestamp) const {
  const auto reaches =
      std::lower_bound(entries_.begin(), entries_.end(), timestamp,
                       [](const Entry& entry, std::int64_t at) { return entry.timestamp < at; });
  return reaches == entries_.begin() ? base_ : std::prev(reaches)->offset;
}

void TimeIndex::truncate(Offset offset) {
  while (!entries_.empty() && entries_.back().offset >= offset) entries_.pop_back();
}

Bytes TimeIndex::encode() const {
  BytesWriter out;
  out.reserve(entries_.size() * entry_bytes);
  for (const Entry& entry : entries_) {
    out.put(entry.timestamp);
    out.put(static_cast<std::int32_t>(entry.offset - base_));
  }
  return out.take();
}

Result<TimeIndex> TimeIndex::decode(Offset base, ByteView bytes) {
  if (bytes.size() % entry_bytes != 0) {
    return fail(Errc::corrupt, "a time index has {} bytes, which are no whole entries",
                bytes.size());
  }
  TimeIndex index(base);
  index.entries_.reserve(bytes.size() / entry_bytes);
  BytesReader in(bytes);
  while (in.left() > 0) {
    const std::int64_t timestamp = in.get<std::int64_t>();
    const std::int32_t relative = in.get<std::int32_t>();
    const Entry entry{timestamp, base.plus(relative)};
    const bool grows =
        index.entries_.empty() || (entry.timestamp > index.entries_.back().timestamp &&
                                   entry.offset > index.entries_.back().offset);
    if (relative < 0 || !grows) {
      return fail(Errc::corrupt, "entry {} of a time index does not follow the one before",
                  index.entries_.size());
    }
    index.entries_.push_back(entry);
  }
  return index;
}

}  // namespace qlab::storage
