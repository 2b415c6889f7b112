#pragma once
// What may be chosen about the controller. Names and defaults are Kafka's.

#include <cstddef>
#include <cstdint>

#include "common/clock.h"
#include "common/result.h"

namespace qlab::controller {

// The most records in one entry of the metadata log. What needs more is several entries.
inline constexpr std::size_t records_per_entry_max = 1000;
// The most records that are decided in one go when partitions are moved. They are one proposal of
// several entries: each waits for the disks of a quorum, and the moves before the next one with it.
inline constexpr std::size_t records_per_move_max = 5000;

struct ControllerOptions {
  Duration session_timeout =
      std::chrono::milliseconds(9000);          // broker.session.timeout.ms, [100, 300000].
  std::int32_t num_partitions = 1;              // num.partitions, [1, 10000].
  std::int16_t default_replication_factor = 1;  // default.replication.factor, [1, 1000].

  std::int32_t min_insync_replicas = 1;  // min.insync.replicas, [1, 1000].
  bool unclean_leader_election = false;  // unclean.leader.election.enable
  // auto.leader.rebalance.enable: every interval the preferred leaders are elected, if more than
  // so many in a hundred partitions are led by another.
  bool auto_rebalance = true;
  Duration rebalance_interval =
      std::chrono::seconds(300);           // leader.imbalance.check.interval.seconds, [1, 1000000].
  std::int32_t imbalance_percentage = 10;  // leader.imbalance.per.broker.percentage, [0, 100].

  // How many records an entry takes, and a move. Fewer than the most make more of the places where
  // a controller can be lost in the middle of something.
  std::size_t records_per_entry =
      records_per_entry_max;  // controller.records.per.entry, [1, records_per_entry_max].
  std::size_t records_per_move =
      records_per_move_max;  // controller.records.per.move, [1, records_per_move_max].
  // replicator=consensus: a partition is led by the leader of its consensus group, who says so
  // (PartitionAlteration::claims_leadership), and its replicas stay as they are.
  bool groups_lead = false;

  // Errors: invalid, naming the key, its value and what is allowed.
  Result<void> validate() const;
};

// The most records that one request may make, other than the partitions of new topics: Kafka's
// MAX_RECORDS_PER_USER_OP.
inline constexpr std::size_t records_per_request_max = 10'000;
// The most partitions that one request may make. Kafka has 10,000 here; ours come in many entries.
inline constexpr std::int64_t partitions_per_request_max = 2'000'000;
// Producer ids given to a broker at a time (KIP-730).
inline constexpr std::int32_t producer_id_block = 1000;

}  // namespace qlab::controller
