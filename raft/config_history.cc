#include "raft/config_history.h"

#include <utility>

#include "common/check.h"

namespace qlab::raft {

using consensus::Config;
using consensus::LogId;

ConfigHistory::ConfigHistory(Config base, LogId at) : base_(std::move(base)), base_at_(at) {}

const Config& ConfigHistory::active() const {
  return changes_.empty() ? base_ : changes_.rbegin()->second.config;
}

LogId ConfigHistory::active_at() const {
  if (changes_.empty()) return base_at_;
  const auto& [index, change] = *changes_.rbegin();
  return LogId{change.epoch, index};
}

const Config& ConfigHistory::at(LogIndex index) const {
  const auto after = changes_.upper_bound(index);
  return after == changes_.begin() ? base_ : std::prev(after)->second.config;
}

const Config& ConfigHistory::previous() const {
  return changes_.size() < 2 ? base_ : std::next(changes_.rbegin())->second.config;
}

void ConfigHistory::append(LogId at, Config config) {
  CHECK(at.index > active_at().index);
  changes_.emplace(at.index, Change{at.epoch, std::move(config)});
}

void ConfigHistory::truncate(LogIndex from) {
  CHECK(from > base_at_.index);
  changes_.erase(changes_.lower_bound(from), changes_.end());
}

void ConfigHistory::install(LogId at, Config config, bool log_stays) {
  changes_.erase(changes_.begin(), log_stays ? changes_.upper_bound(at.index) : changes_.end());
  base_ = std::move(config);
  base_at_ = at;
}

}  // namespace qlab::raft
