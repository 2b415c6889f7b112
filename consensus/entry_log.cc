#include "consensus/entry_log.h"

#include "common/check.h"

namespace qlab::consensus {

std::optional<Epoch> EntryLog::epoch_of(LogIndex index) const {
  if (index == previous_.index) return previous_.epoch;
  if (index < first() || index > last().index) return std::nullopt;
  return entries_[static_cast<std::size_t>(index - first())].id.epoch;
}

LogId EntryLog::end_of_epoch(Epoch epoch) const {
  const auto after = starts_.upper_bound(epoch);
  if (after == starts_.begin()) return previous_.epoch <= epoch ? previous_ : LogId{};
  const LogIndex end = after == starts_.end() ? last().index : after->second.prev();
  return LogId{std::prev(after)->first, end};
}

std::vector<Entry> EntryLog::read(LogIndex from, std::size_t bytes_max) const {
  CHECK(from >= first());
  std::vector<Entry> found;
  std::size_t bytes = 0;
  for (auto at = static_cast<std::size_t>(from - first()); at < entries_.size(); ++at) {
    bytes += entries_[at].body->size();
    if (!found.empty() && bytes > bytes_max) break;
    found.push_back(entries_[at]);
  }
  return found;
}

void EntryLog::append(Entry entry) {
  CHECK(entry.body != nullptr);
  CHECK(entry.id.index == last().index.next());
  CHECK(entry.id.epoch >= last().epoch);
  starts_.try_emplace(entry.id.epoch, entry.id.index);
  entries_.push_back(std::move(entry));
}

void EntryLog::truncate(LogIndex from) {
  CHECK(from >= first());
  CHECK(from <= last().index.next());
  entries_.resize(static_cast<std::size_t>(from - first()));
  while (!starts_.empty() && std::prev(starts_.end())->second >= from) {
    starts_.erase(std::prev(starts_.end()));
  }
}

void EntryLog::trim(LogIndex from) {
  CHECK(from <= last().index.next());
  while (first() < from) {
    previous_ = entries_.front().id;
    entries_.pop_front();
  }
  while (!starts_.empty() && starts_.begin()->second < first()) {
    const Epoch epoch = starts_.begin()->first;
    starts_.erase(starts_.begin());
    if (!entries_.empty() && entries_.front().id.epoch == epoch) starts_[epoch] = first();
  }
}

void EntryLog::reset(LogId previous) {
  entries_.clear();
  starts_.clear();
  previous_ = previous;
}

void EntryLog::install(SnapshotMeta meta) {
  if (epoch_of(meta.last.index) == meta.last.epoch) {
    trim(meta.last.index.next());
  } else {
    reset(meta.last);
  }
  snapshot_ = std::move(meta);
}

}  // namespace qlab::consensus
