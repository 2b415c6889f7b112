#include "raft/kraft/voters.h"

#include "common/check.h"
#include "consensus/config.h"
#include "consensus/quorum.h"

namespace qlab::raft::kraft {

using consensus::Config;
using consensus::Entry;
using consensus::EntryKind;
using consensus::LogId;
using consensus::SnapshotMeta;

VoterHistory::VoterHistory(Config base, const consensus::LogView& log)
    : base_{std::move(base), log.snapshot().last} {
  for (const Entry& entry : log.read(log.first(), SIZE_MAX)) {
    if (entry.id.index > base_.at.index) append(entry);
  }
}

const Config& VoterHistory::current() const {
  return known_.empty() ? base_.config : std::prev(known_.end())->second.config;
}

LogId VoterHistory::at() const {
  return known_.empty() ? base_.at : std::prev(known_.end())->second.at;
}

bool VoterHistory::may_campaign(const consensus::ReplicaKey& key, LogIndex commit) const {
  for (auto change = known_.rbegin(); change != known_.rend(); ++change) {
    if (is_voter(change->second.config, key)) return true;
    if (change->first <= commit) return false;
  }
  return is_voter(base_.config, key);
}

bool VoterHistory::append(const Entry& entry) {
  if (entry.kind != EntryKind::config) return false;
  auto config = consensus::decode_config(*entry.body);
  CHECK_MSG(config.has_value(), config.error().message());  // Checked before it was appended.
  const bool changed = *config != current();
  known_[entry.id.index] = {std::move(*config), entry.id};
  return changed;
}

bool VoterHistory::truncate(LogIndex from) {
  const Config before = current();
  known_.erase(known_.lower_bound(from), known_.end());
  return current() != before;
}

bool VoterHistory::install(const SnapshotMeta& image, bool log_is_replaced) {
  const Config before = current();
  forget(image);
  if (log_is_replaced) known_.clear();
  return current() != before;
}

void VoterHistory::forget(const SnapshotMeta& image) {
  known_.erase(known_.begin(), known_.upper_bound(image.last.index));
  base_ = {image.config, image.last};
}

Result<void> check_configs(const std::vector<Entry>& entries) {
  for (const Entry& entry : entries) {
    if (entry.kind == EntryKind::config) TRY_VOID(consensus::decode_config(*entry.body));
  }
  return {};
}

bool is_voter(const Config& config, const consensus::ReplicaKey& key) {
  const consensus::Member* member = consensus::find_member(config, key.id);
  if (member == nullptr || !consensus::counts(*member)) return false;
  return member->directory == DirectoryId{} || member->directory == key.directory;
}

}  // namespace qlab::raft::kraft
