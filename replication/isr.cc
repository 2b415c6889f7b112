#include "replication/isr.h"

#include <algorithm>

#include "common/check.h"

namespace qlab::replication {

void note_fetch(Follower& follower, Offset offset, Offset end, Time now) {
  if (offset >= end) {
    follower.caught_up_at = now;
  } else if (follower.end_at_fetch.value() >= 0 && offset >= follower.end_at_fetch) {
    follower.caught_up_at = std::max(follower.caught_up_at, follower.fetched_at);
  }
  follower.acknowledged = offset;
  follower.fetched_at = now;
  follower.end_at_fetch = end;
}

void note_append(Follower& follower, Offset end, Time now) {
  if (follower.acknowledged >= end) follower.caught_up_at = now;
}

Offset high_watermark(const Watermark& watermark, NodeId leader, const std::vector<NodeId>& isr,
                      const std::map<NodeId, Follower>& followers) {
  CHECK(std::find(isr.begin(), isr.end(), leader) != isr.end());
  if (watermark.committed_isr < watermark.min_insync) return watermark.current;
  Offset least = watermark.leader_acked;
  for (NodeId member : isr) {
    if (member == leader) continue;
    const auto at = followers.find(member);
    // Not heard of yet: it may lack anything.
    least = at == followers.end() ? Offset{-1} : std::min(least, at->second.acknowledged);
    if (least < watermark.current) return watermark.current;
  }
  return std::max(watermark.current, least);
}

std::optional<std::vector<NodeId>> shrunk_isr(NodeId leader, const std::vector<NodeId>& isr,
                                              const std::map<NodeId, Follower>& followers,
                                              Offset end, Time now, Duration lag_max) {
  std::vector<NodeId> remaining;
  for (NodeId member : isr) {
    const auto at = followers.find(member);
    const bool lags = member != leader && at != followers.end() && at->second.acknowledged < end &&
                      now - at->second.caught_up_at > lag_max;
    if (!lags) remaining.push_back(member);
  }
  if (remaining.size() == isr.size()) return std::nullopt;
  return remaining;
}

std::optional<NodeId> closest_replica(NodeId leader, const std::vector<NodeId>& isr,
                                      const std::map<NodeId, Follower>& followers,
                                      const std::vector<NodeId>& near, Offset offset) {
  const auto is_near = [&](NodeId node) {
    return std::find(near.begin(), near.end(), node) != near.end();
  };
  if (near.empty() || is_near(leader)) return std::nullopt;
  std::optional<NodeId> best;
  Offset most{-1};
  for (const NodeId member : isr) {
    const auto at = followers.find(member);
    if (at == followers.end() || !is_near(member)) continue;
    const Follower& follower = at->second;
    const bool has_it = follower.acknowledged >= offset && follower.log_start <= offset;
    if (!has_it || follower.acknowledged <= most) continue;
    best = member;
    most = follower.acknowledged;
  }
  return best;
}

std::optional<storage::EpochEnd> divergence(storage::EpochEnd known, LeaderEpoch last_epoch,
                                            Offset offset) {
  // It knows only later ones: it has deleted what is older, or never had it. What is common ends
  // where the first of them begins.
  if (known.epoch == no_leader_epoch) known.epoch = last_epoch;
  if (known.epoch == last_epoch && known.end >= offset) return std::nullopt;
  return known;
}

Offset common_end(storage::EpochEnd known, storage::EpochEnd leader) {
  // Of an epoch that only one of them knows, nothing is common; its end is where the next begins.
  const bool both_know = known.epoch == leader.epoch || known.epoch == no_leader_epoch;
  return both_know ? std::min(known.end, leader.end) : known.end;
}

}  // namespace qlab::replication
