#pragma once
// Which brokers have been heard of lately: soft state of the active controller, begun anew by each.
//
// Source: KIP-631, BrokerHeartbeatManager. After a failover every session starts at the new
// controller's activation, so a broker that died just then is found out one session timeout later.

#include <map>
#include <vector>

#include "common/clock.h"
#include "common/ids.h"

namespace qlab::controller {

class Sessions {
 public:
  explicit Sessions(Duration timeout) : timeout_(timeout) {}

  void touch(NodeId broker, Time now) { expiry_[broker] = now + timeout_; }
  // What a heartbeat says of the metadata that the broker has applied.
  void note_offset(NodeId broker, LogIndex offset) { offsets_[broker] = offset; }
  void clear() {
    expiry_.clear();
    offsets_.clear();
  }

  bool is_alive(NodeId broker, Time now) const {
    const auto at = expiry_.find(broker);
    return at != expiry_.end() && at->second > now;
  }
  // 0: not heard of yet.
  LogIndex offset_of(NodeId broker) const {
    const auto at = offsets_.find(broker);
    return at == offsets_.end() ? LogIndex{} : at->second;
  }

  // Those whose session has run out, sorted by id; they are forgotten.
  std::vector<NodeId> take_expired(Time now) {
    std::vector<NodeId> expired;
    for (const auto& [broker, expiry] : expiry_) {
      if (expiry <= now) expired.push_back(broker);
    }
    for (NodeId broker : expired) expiry_.erase(broker);
    return expired;
  }

  // When the next one can run out; `now` + timeout when there is none.
  Time next_expiry(Time now) const {
    Time next = now + timeout_;
    for (const auto& [broker, expiry] : expiry_) next = std::min(next, expiry);
    return next;
  }

 private:
  Duration timeout_;
  std::map<NodeId, Time> expiry_;
  std::map<NodeId, LogIndex> offsets_;
};

}  // namespace qlab::controller
