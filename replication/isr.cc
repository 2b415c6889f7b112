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

Offset high_watermark(const Watermark& watermark, NodeId leader, const std::vector<NodeId>& isr,
                      const std::map<NodeId, Follower>& followers) {
  CHECK(std::find(isr.begin(), isr.end(), leader) != isr.end());
  if (isr.size() < watermark.min_insync) return watermark.current;
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

}  // namespace qlab::replication
