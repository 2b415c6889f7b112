#pragma once
// What a partition's leader knows of its followers, and what follows from it: the high watermark,
// the ISR, and how far a follower has to go back. Pure.
//
// Source: KIP-497 (maximal ISR), KIP-966 (no progress below min.insync.replicas), Kafka's
// replica.lag.time.max.ms.

#include <map>
#include <optional>
#include <vector>

#include "common/clock.h"
#include "common/ids.h"
#include "storage/log.h"

namespace qlab::replication {

// A follower as its leader sees it.
struct Follower {
  Offset acknowledged{-1};  // It has everything before this; -1: not heard of in this leader epoch.
  Time caught_up_at{};      // When it last had all that the leader had.
  Time fetched_at{};        // Its fetch before this one, and
  Offset end_at_fetch{-1};  // where the leader's log ended then.
  Offset log_start{-1};     // Where its log begins; -1: not heard of in this leader epoch.
  BrokerEpoch broker_epoch{-1};  // Of the incarnation that fetched; -1: not told.
};

// Takes notice of a fetch from `offset` while the leader's log ends at `end`. A follower counts as
// caught up at the time of the fetch before, when it now asks for what had been the end then.
void note_fetch(Follower& follower, Offset offset, Offset end, Time now);

// Takes notice that the leader's log goes on from `end`: who had everything had it until now,
// however long ago it has said so.
void note_append(Follower& follower, Offset end, Time now);

struct Watermark {
  Offset current;       // Never goes back.
  Offset leader_acked;  // What the leader itself counts as stored: its durable end, or its end.
  std::size_t min_insync = 1;
  std::size_t committed_isr = 1;  // Members that the controller is known to have agreed to.
};

// Returns the offset before which every member of `isr` has everything, which is what a consumer
// may read. `isr` is the maximal ISR: the committed one and whom the leader has asked to add. It
// does not advance while fewer than min_insync are in the committed one: those whom the controller
// keeps as eligible then have all that is committed (KIP-966), and who was only asked for does not
// end that.
//
// Requires: `isr` contains `leader`.
Offset high_watermark(const Watermark& watermark, NodeId leader, const std::vector<NodeId>& isr,
                      const std::map<NodeId, Follower>& followers);

// The ISR without those that have not been caught up for `lag_max`; nothing when all have.
std::optional<std::vector<NodeId>> shrunk_isr(NodeId leader, const std::vector<NodeId>& isr,
                                              const std::map<NodeId, Follower>& followers,
                                              Offset end, Time now, Duration lag_max);

// Whom a consumer at `offset` that would rather read from one of `near` is to ask: nobody else,
// when the leader is near or no other replica in sync that is has this offset; the one that has
// most, else (KIP-392).
std::optional<NodeId> closest_replica(NodeId leader, const std::vector<NodeId>& isr,
                                      const std::map<NodeId, Follower>& followers,
                                      const std::vector<NodeId>& near, Offset offset);

// Where the log of a follower that asks for `offset`, with a record of `last_epoch` before it,
// leaves the leader's; nothing when it does not. `known` is the leader's end of that epoch.
// The follower cuts its log (common_end) and asks again, until nothing diverges.
// Source: KIP-595; KIP-279 for epochs that the leader does not know; Kafka 3.9,
// LeaderEpochFileCache::endOffsetFor, for one before its first.
std::optional<storage::EpochEnd> divergence(storage::EpochEnd known, LeaderEpoch last_epoch,
                                            Offset offset);

// Up to where a follower may keep its log, which leaves the leader's as `leader` says. `known` is
// the follower's end of the leader's epoch.
Offset common_end(storage::EpochEnd known, storage::EpochEnd leader);

}  // namespace qlab::replication
