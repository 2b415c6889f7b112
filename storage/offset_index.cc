#include "storage/offset_index.h"

#include <algorithm>
#include <limits>

#include "common/check.h"

namespace qlab::storage {
namespace {

constexpr std::size_t entry_bytes = 8;
constexpr std::int64_t relative_max = std::numeric_limits<std::int32_t>::max();

}  // namespace

void OffsetIndex::append(Entry entry) {
  CHECK(entry.offset >= base_);
  CHECK(entry.offset - base_ <= relative_max);
  CHECK(entry.position <= static_cast<std::uint64_t>(relative_max));
  CHECK(entries_.empty() || entry.offset > last().offset);
  CHECK(entries_.empty() || entry.position > last().position);
  entries_.push_back(entry);
}

std::uint64_t OffsetIndex::position_near(Offset offset) const {
  // An entry tells its batch's last offset, so its batch begins at or before any offset >= that.
  const auto beyond =
      std::upper_bound(entries_.begin(), entries_.end(), offset,
                       [](Offset wanted, const Entry& entry) { return wanted < entry.offset; });
  return beyond == entries_.begin() ? 0 : std::prev(beyond)->position;
}

void OffsetIndex::truncate(std::uint64_t position) {
  while (!entries_.empty() && last().position >= position) entries_.pop_back();
}

Bytes OffsetIndex::encode() const {
  BytesWriter out;
  out.reserve(entries_.size() * entry_bytes);
  for (const Entry& entry : entries_) {
    out.put(static_cast<std::int32_t>(entry.offset - base_));
    out.put(static_cast<std::int32_t>(entry.position));
  }
  return out.take();
}

Result<OffsetIndex> OffsetIndex::decode(Offset base, ByteView bytes) {
  if (bytes.size() % entry_bytes != 0) {
    return fail(Errc::corrupt, "an offset index has {} bytes, which are no whole entries",
                bytes.size());
  }
  OffsetIndex index(base);
  index.entries_.reserve(bytes.size() / entry_bytes);
  BytesReader in(bytes);
  while (in.left() > 0) {
    const std::int32_t relative = in.get<std::int32_t>();
    const std::int32_t position = in.get<std::int32_t>();
    const Entry entry{base.plus(relative), static_cast<std::uint64_t>(position)};
    const bool grows = index.entries_.empty() || (entry.offset > index.last().offset &&
                                                  entry.position > index.last().position);
    if (relative < 0 || position <= 0 || !grows) {
      return fail(Errc::corrupt, "entry {} of an offset index does not follow the one before",
                  index.entries_.size());
    }
    index.entries_.push_back(entry);
  }
  return index;
}

}  // namespace qlab::storage
