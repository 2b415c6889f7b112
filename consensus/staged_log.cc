#include "consensus/staged_log.h"

#include "common/check.h"

namespace qlab::consensus {

void StagedLog::begin_step() {
  truncated_from_.reset();
  installed_.reset();
  appended_.clear();
}

void StagedLog::append(const std::vector<Entry>& entries) {
  for (const Entry& entry : entries) {
    CHECK(entry.id.index == last().index.next());
    CHECK(entry.id.epoch >= last().epoch);
    appended_.push_back(entry);
  }
}

void StagedLog::truncate(LogIndex from) {
  CHECK(appended_.empty());
  CHECK(!truncated_from_.has_value());
  CHECK(!installed_.has_value());
  CHECK(from >= first());
  CHECK(from <= last().index);
  truncated_from_ = from;
}

void StagedLog::install(LogId last) {
  CHECK(appended_.empty());
  CHECK(!truncated_from_.has_value());
  CHECK(last > base_.snapshot().last);
  installed_ = last;
}

bool StagedLog::is_replaced() const {
  return installed_ && base_.epoch_of(installed_->index) != installed_->epoch;
}

LogIndex StagedLog::first() const {
  return installed_ ? installed_->index.next() : base_.first();
}

LogId StagedLog::base_last() const {
  if (is_replaced()) return *installed_;
  if (!truncated_from_) return base_.last();
  const LogIndex index = truncated_from_->prev();
  return LogId{*base_.epoch_of(index), index};
}

LogId StagedLog::last() const {
  return appended_.empty() ? base_last() : appended_.back().id;
}

std::optional<Epoch> StagedLog::epoch_of(LogIndex index) const {
  const LogId end = base_last();
  if (index < first().prev()) return std::nullopt;
  if (index <= end.index) return is_replaced() ? end.epoch : base_.epoch_of(index);
  const auto at = static_cast<std::size_t>(index - end.index) - 1;
  if (at >= appended_.size()) return std::nullopt;
  return appended_[at].id.epoch;
}

LogId StagedLog::end_of_epoch(Epoch epoch) const {
  for (auto entry = appended_.rbegin(); entry != appended_.rend(); ++entry) {
    if (entry->id.epoch <= epoch) return entry->id;
  }
  const LogId end = base_last();
  if (end.epoch <= epoch) return end;
  if (is_replaced()) return LogId{};
  const LogId found = base_.end_of_epoch(epoch);
  if (!installed_ || found.index >= installed_->index) return found;
  return installed_->epoch <= epoch ? *installed_ : LogId{};
}

std::vector<Entry> StagedLog::read(LogIndex from, std::size_t bytes_max) const {
  const LogId end = base_last();
  std::vector<Entry> found;
  std::size_t bytes = 0;
  CHECK(from >= first());
  if (from <= end.index) {
    found = base_.read(from, bytes_max);
    while (!found.empty() && found.back().id.index > end.index) found.pop_back();
    for (const Entry& entry : found) bytes += entry.body->size();
    if (found.empty() || found.back().id.index < end.index) return found;
  }
  for (const Entry& entry : appended_) {
    if (entry.id.index < from) continue;
    bytes += entry.body->size();
    if (!found.empty() && bytes > bytes_max) break;
    found.push_back(entry);
  }
  return found;
}

}  // namespace qlab::consensus
