#include "storage/crash/disk_record.h"

#include <algorithm>
#include <cstring>

#include "common/check.h"

namespace qlab::storage {

void DiskRecord::read(std::uint64_t position, std::span<std::byte> into) const {
  CHECK(position + into.size() <= size());
  std::memcpy(into.data(), image_.data() + position, into.size());
  if (aside_.empty()) return;
  const std::uint64_t end = position + into.size();
  for (std::uint64_t page = position / page_bytes; page * page_bytes < end; ++page) {
    const auto found = aside_.find(page);
    if (found == aside_.end()) continue;
    const std::uint64_t from = std::max(position, page * page_bytes);
    const std::uint64_t to = std::min(end, (page + 1) * page_bytes);
    std::memcpy(into.data() + (from - position), found->second->data() + from % page_bytes,
                to - from);
  }
}

void DiskRecord::write(std::uint64_t position, ByteView bytes) {
  CHECK(position + bytes.size() <= size());
  if (phase_ == Phase::past) return keep_aside(position, bytes);
  std::copy(bytes.begin(), bytes.end(), image_.begin() + static_cast<std::ptrdiff_t>(position));
  if (phase_ == Phase::preparing) return;
  events_.push_back({true, position, Bytes(bytes.begin(), bytes.end()), text_.size()});
}

void DiskRecord::flush() {
  if (phase_ != Phase::recording) return;
  events_.push_back({false, 0, {}, text_.size()});
  flushes_.push_back(events_.size());
}

void DiskRecord::say(std::string_view text) {
  if (phase_ == Phase::past) return;
  text_ += text;
  text_end_ = text_.size();
  if (phase_ == Phase::preparing) return;
  events_.push_back({false, 0, {}, text_.size()});
  said_.push_back(events_.size());
}

void DiskRecord::begin() {
  CHECK(phase_ == Phase::preparing);
  beginning_ = image_;
  phase_ = Phase::recording;
}

std::vector<std::size_t> DiskRecord::said_ends() const {
  std::vector<std::size_t> ends;
  for (const std::size_t event : said_) ends.push_back(events_[event - 1].text_end);
  return ends;
}

std::size_t DiskRecord::last_flush_before(std::size_t events) const {
  const auto after = std::upper_bound(flushes_.begin(), flushes_.end(), events);
  return after == flushes_.begin() ? 0 : *std::prev(after);
}

// Makes the image what the first `events` writes and flushes left.
void DiskRecord::move_base(std::size_t events) {
  aside_.clear();
  const bool backwards = phase_ == Phase::recording || events < base_;
  if (backwards) {
    image_ = beginning_;
    base_ = 0;
  }
  phase_ = Phase::past;
  for (; base_ < events; ++base_) {
    const Event& event = events_[base_];
    std::copy(event.bytes.begin(), event.bytes.end(),
              image_.begin() + static_cast<std::ptrdiff_t>(event.position));
  }
}

void DiskRecord::go_to(std::size_t events) {
  CHECK(phase_ != Phase::preparing);
  CHECK(events <= events_.size());
  move_base(events);
  text_end_ = events == 0 ? 0 : events_[events - 1].text_end;
}

void DiskRecord::go_to_power_cut(std::size_t events, std::uint64_t seed) {
  CHECK(phase_ != Phase::preparing);
  CHECK(events <= events_.size());
  const std::size_t durable = last_flush_before(events);
  move_base(durable);
  text_end_ = events == 0 ? 0 : events_[events - 1].text_end;
  Prng random(seed);
  const double kept = random.unit();
  const double torn = random.chance(0.5) ? random.unit() : 0.0;
  for (std::size_t i = durable; i < events; ++i) {
    const Event& event = events_[i];
    if (!event.is_write || !random.chance(kept)) continue;
    if (random.chance(torn)) {
      keep_sectors_aside(event, random);
    } else {
      keep_aside(event.position, event.bytes);
    }
  }
}

void DiskRecord::keep_sectors_aside(const Event& event, Prng& random) {
  for (std::size_t at = 0; at < event.bytes.size(); at += sector_bytes) {
    const std::size_t count = std::min(sector_bytes, event.bytes.size() - at);
    if (random.chance(0.5)) {
      keep_aside(event.position + at, ByteView(event.bytes).subspan(at, count));
    }
  }
}

void DiskRecord::keep_aside(std::uint64_t position, ByteView bytes) {
  while (!bytes.empty()) {
    const std::uint64_t number = position / page_bytes;
    const std::size_t within = position % page_bytes;
    const std::size_t count = std::min(bytes.size(), page_bytes - within);
    std::unique_ptr<Page>& page = aside_[number];
    if (!page) {
      page = std::make_unique<Page>();
      const std::size_t there = std::min(page_bytes, size() - number * page_bytes);
      std::memcpy(page->data(), image_.data() + number * page_bytes, there);
    }
    std::memcpy(page->data() + within, bytes.data(), count);
    position += count;
    bytes = bytes.subspan(count);
  }
}

}  // namespace qlab::storage
