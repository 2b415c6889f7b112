#include "zab/configurations.h"

#include <algorithm>

#include "consensus/quorum.h"

namespace qlab::zab {

using consensus::Config;
using consensus::LogId;

bool has_weight(const Config& config, NodeId node) {
  for (const auto* members : {&config.members, &config.outgoing}) {
    for (const consensus::Member& member : *members) {
      if (member.id == node && consensus::counts(member) && member.weight > 0) return true;
    }
  }
  return false;
}

Configurations::Configurations(Known logged, Config base) : base_(std::move(base)) {
  set_logged(std::move(logged));
}

void Configurations::set_logged(Known known) {
  logged_ = std::move(known);
  if (adopted_ && adopted_->at <= logged_.at) adopted_.reset();
  voters_ = consensus::voters_of(in_force());
}

void Configurations::append(Known entry) {
  entries_.push_back(entry);
  set_logged(std::move(entry));
}

// What was cut off is in force no longer.
bool Configurations::truncate(LogIndex from, LogId image) {
  if (entries_.empty() || entries_.back().at.index < from) return false;
  while (!entries_.empty() && entries_.back().at.index >= from) entries_.pop_back();
  set_logged(entries_.empty() ? Known{image, base_} : entries_.back());
  return true;
}

void Configurations::compact(const consensus::SnapshotMeta& image) {
  while (!entries_.empty() && entries_.front().at.index <= image.last.index) entries_.pop_front();
  base_ = image.config;
}

bool Configurations::install(const consensus::SnapshotMeta& image, bool whole) {
  if (whole) entries_.clear();
  compact(image);
  if (!entries_.empty()) return false;
  set_logged({image.last, image.config});
  return true;
}

void Configurations::hear(NodeId peer, LogId at, const std::optional<Config>& config) {
  at_[peer] = at;
  if (config) {
    heard_[peer] = Known{at, *config};
  } else if (heard_.contains(peer) && heard_.at(peer).at != at) {
    heard_.erase(peer);
  }
}

bool Configurations::adopt(LogId at, const Config& config) {
  if (!config.outgoing.empty() || at <= this->at()) return false;
  const bool differs = config != in_force();
  adopted_ = Known{at, config};
  voters_ = consensus::voters_of(config);
  return differs;
}

std::optional<Config> Configurations::news_for(NodeId peer) {
  const auto theirs = at_.find(peer);
  if (theirs == at_.end() || theirs->second == at()) return std::nullopt;
  told_[peer] = at();
  return in_force();
}

bool Configurations::is_untold(NodeId peer) const {
  const auto theirs = at_.find(peer);
  if (theirs == at_.end() || theirs->second == at()) return false;
  const auto told = told_.find(peer);
  return told == told_.end() || told->second != at();
}

const Config& Configurations::of(NodeId candidate) const {
  const auto theirs = heard_.find(candidate);
  return theirs == heard_.end() ? in_force() : theirs->second.config;
}

bool Configurations::is_voter_anywhere(NodeId node) const {
  return is_voter(node) || std::any_of(heard_.begin(), heard_.end(), [&](const auto& heard) {
           return consensus::voters_of(heard.second.config).contains(node);
         });
}

bool Configurations::weighs_anywhere(NodeId node) const {
  return weighs(node) || std::any_of(heard_.begin(), heard_.end(), [&](const auto& heard) {
           return has_weight(heard.second.config, node);
         });
}

}  // namespace qlab::zab
