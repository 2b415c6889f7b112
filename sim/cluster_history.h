#pragma once
// What happened in a simulated cluster: what its clients were told, what its nodes showed, and what
// the invariants know of it.
//
// What is new since the last event stands in `fresh`; cluster_invariants.h judges it and then moves
// it to what is known. Topics with data have names that are used once, so a name is an identity.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "common/ids.h"
#include "metadata/image.h"
#include "sim/cluster_reached.h"
#include "sim/last_writes.h"
#include "wire/kafka/errors.h"

namespace qlab::sim {

// What a cluster promises, as its swarm has drawn it.
struct Promises {
  // A record that was acknowledged, or that a consumer has seen, is never lost, and its offset is
  // never another's. With durability=sync on an engine that keeps anything; else only as long as no
  // crash loses what was not synced.
  bool records_stay = true;
  // All nodes replay one log, so that images at the same offset are the same.
  bool images_share_a_log = true;
  // Who may become a replica does not change with who is up. Else a call that was made twice, as
  // its first answer was lost, may be refused although it was carried out at first.
  bool targets_stay_valid = true;

  // Whether the answer to a move or a change of configs says for sure that nothing was done, also
  // to a call that was made twice behind the client's back.
  bool is_final_refusal(wire::KafkaError error) const {
    return error == wire::KafkaError::invalid_config ||
           (error == wire::KafkaError::invalid_replica_assignment && targets_stay_valid);
  }
};

// A topic as its clients know it.
struct TopicFate {
  std::int32_t partitions = 0;  // At least: it may be about to get more.
  std::int16_t replicas = 0;
  bool is_created = false;         // Acknowledged.
  bool is_deletion_asked = false;  // By anybody, with whatever answer.
  // By key; nothing: the topic does not say it.
  std::map<std::string, LastWrites<std::optional<std::string>>> configs = {};
  // The replicas of partitions that were moved; nothing: not known, as after a move was cancelled.
  std::map<PartitionIndex, LastWrites<std::optional<std::vector<NodeId>>>> moves = {};
};

// A record as a client or an auditor saw it: the number that is its value.
struct SeenRecord {
  Offset offset;
  std::uint64_t value = 0;
};

// Of one replica's leadership.
using LeadershipKey = std::tuple<TopicId, PartitionIndex, LeaderEpoch>;

// Values of a client grow; those of the first, whose number is 0, begin at 1.
inline constexpr std::uint64_t values_per_client = 1'000'000'000;

struct PartitionFate {
  std::map<Offset, std::uint64_t> acknowledged;  // The value at each offset that was acknowledged.
  std::map<Offset, std::uint64_t> seen;          // And at each that anybody has read.
  std::map<LeaderEpoch, Offset> watermarks;      // The highest that consumers were told, by epoch.
  std::map<std::uint64_t, Offset> stands_at;     // Where each value of these is.
  Offset kept_end;  // One past the last record that was acknowledged or seen by a consumer.
};

struct ClusterFresh {
  struct Published {
    NodeId node;
    metadata::ImagePtr before;  // Null: the first one that was looked at in this life.
    metadata::ImagePtr image;
  };
  struct Led {  // A replica that leads, looked at for the first time in that epoch.
    NodeId node;
    TopicPartition partition;
    TopicId topic;
    LeaderEpoch epoch;
    Offset log_end;
    bool is_newest;  // No replica of it was seen in a later epoch.
  };
  struct Decides {  // A controller that is active, looked at for the first time in that epoch.
    NodeId node;
    Epoch epoch;
  };
  struct Acknowledged {
    TopicPartition partition;
    SeenRecord first;  // Adjacent values were produced together.
    std::uint64_t count = 1;
  };
  struct Consumed {
    TopicPartition partition;
    LeaderEpoch epoch;  // That the client has asked in.
    Offset watermark;
    Offset watermark_before;  // The highest that was told in that epoch when the client asked.
    std::vector<SeenRecord> records;
  };
  struct OutOfRange {  // A consumer whose offset lies outside the log, and where it had read to.
    TopicPartition partition;
    Offset asked;
  };
  struct Stored {  // Read from a replica's own log, below its high watermark.
    NodeId node;
    TopicPartition partition;
    std::vector<SeenRecord> records;
  };
  struct Refused {  // A node that did not start, or gave up, without an injected failure.
    NodeId node;
    std::string why;
  };
  std::vector<Published> published;
  // What the replicas of a broker were told to do, where that is not the same image.
  std::vector<Published> told;
  std::vector<Led> led;
  std::vector<Decides> decides;
  std::vector<Acknowledged> acknowledged;
  std::vector<Consumed> consumed;
  std::vector<OutOfRange> out_of_range;
  std::vector<Stored> stored;
  std::vector<Refused> refused;

  bool empty() const {
    return published.empty() && told.empty() && led.empty() && decides.empty() &&
           acknowledged.empty() && consumed.empty() && out_of_range.empty() && stored.empty() &&
           refused.empty();
  }
};

struct ClusterHistory {
  Promises promises;

  std::map<std::string, TopicFate> topics;  // With data.
  std::map<TopicPartition, PartitionFate> partitions;
  std::set<TopicId> deleted;  // Whose deletion was acknowledged.

  std::map<Epoch, NodeId> controllers;        // Who was active first in an epoch.
  std::map<LeadershipKey, NodeId> leaders;    // Who led first.
  std::map<LeadershipKey, NodeId> appointed;  // Whom an image named first; no_node counts.
  std::map<LogIndex, std::uint64_t> images;   // Digest of the image at an offset.
  std::map<TopicId, LogIndex> removed;        // By when an image was without it, at the earliest.
  // What each node has seen go, in its present life.
  std::map<NodeId, std::set<TopicId>> removed_at;

  ClusterFresh fresh;

  std::set<std::uint64_t> idempotent_clients;  // Whose producers are.

  // Counts, for people.
  ClusterReached reached;
  std::set<std::tuple<TopicId, PartitionIndex, std::int32_t>> moves_ended;  // Counted before.
  std::uint64_t operations = 0;                                             // Of clients.
  std::uint64_t answered = 0;  // Of these: without an error.
  std::uint64_t topics_made = 0;
  std::uint64_t topics_deleted = 0;
  std::uint64_t records_acknowledged = 0;
  std::uint64_t records_read = 0;

  // A node begins another life.
  void forget_life(NodeId node) { removed_at.erase(node); }
  Offset watermark(const TopicPartition& partition, LeaderEpoch epoch) const;
  // Acknowledged, not lost to a deletion that somebody has asked for.
  bool is_kept(const TopicPartition& partition) const;
};

// Everything that an image says, but for where it stands.
std::uint64_t digest_of(const metadata::Image& image);
// Its topics alone, without what only a controller needs to know of them.
std::uint64_t digest_of_topics(const metadata::Image& image);

}  // namespace qlab::sim
