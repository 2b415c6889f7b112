#include "storage/epoch_cache.h"

#include <algorithm>
#include <charconv>

#include "common/check.h"

namespace qlab::storage {
namespace {

// Cuts the next line off `text`; empty lines do not occur in a checkpoint.
std::string_view take_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

template <class T>
bool take_number(std::string_view& line, T& into) {
  const auto [stop, error] = std::from_chars(line.data(), line.data() + line.size(), into);
  if (error != std::errc{}) return false;
  line.remove_prefix(static_cast<std::size_t>(stop - line.data()));
  return true;
}

}  // namespace

void EpochCache::assign(LeaderEpoch epoch, Offset offset) {
  if (epoch <= latest()) return;
  CHECK(entries_.empty() || offset >= entries_.back().start);
  entries_.push_back({epoch, offset});
}

EpochEnd EpochCache::end_of(LeaderEpoch epoch, Offset end) const {
  const auto larger =
      std::upper_bound(entries_.begin(), entries_.end(), epoch,
                       [](LeaderEpoch wanted, const Entry& entry) { return wanted < entry.epoch; });
  const Offset reaches = larger == entries_.end() ? end : larger->start;
  if (larger == entries_.begin()) return {no_leader_epoch, reaches};
  return {std::prev(larger)->epoch, reaches};
}

void EpochCache::truncate_from_end(Offset end) {
  while (!entries_.empty() && entries_.back().start >= end) entries_.pop_back();
}

void EpochCache::truncate_from_start(Offset start) {
  const auto reaches_beyond = [&](const Entry& entry) { return entry.start > start; };
  const auto next = std::find_if(entries_.begin(), entries_.end(), reaches_beyond);
  if (next != entries_.begin()) entries_.erase(entries_.begin(), std::prev(next));
}

std::string EpochCache::encode() const {
  std::string text = fmt::format("0\n{}\n", entries_.size());
  for (const Entry& entry : entries_) text += fmt::format("{} {}\n", entry.epoch, entry.start);
  return text;
}

Result<EpochCache> EpochCache::decode(std::string_view text) {
  const std::string_view version = take_line(text);
  if (version != "0") {
    return fail(Errc::corrupt, "a leader epoch checkpoint has version '{}'; only 0 is known",
                version);
  }
  std::string_view count_line = take_line(text);
  std::size_t count = 0;
  if (!take_number(count_line, count) || !count_line.empty()) {
    return fail(Errc::corrupt, "line 2 of a leader epoch checkpoint is no count");
  }
  EpochCache cache;
  for (std::size_t i = 0; i < count; ++i) {
    std::string_view line = take_line(text);
    std::int32_t epoch = 0;
    std::int64_t start = 0;
    bool good = take_number(line, epoch) && line.starts_with(' ');
    if (good) line.remove_prefix(1);
    good = good && take_number(line, start) && line.empty() && epoch > cache.latest().value() &&
           start >= (cache.entries_.empty() ? 0 : cache.entries_.back().start.value());
    if (!good) {
      return fail(Errc::corrupt, "line {} of a leader epoch checkpoint is no entry that follows",
                  i + 3);
    }
    cache.entries_.push_back({LeaderEpoch{epoch}, Offset{start}});
  }
  if (!text.empty()) {
    return fail(Errc::corrupt, "a leader epoch checkpoint goes on behind its {} entries", count);
  }
  return cache;
}

}  // namespace qlab::storage
