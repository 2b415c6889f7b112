#pragma once
// The ids that travel through every floor. Each is its own type, so an offset is never an epoch.

#include <cstdint>
#include <functional>
#include <string>

#include <fmt/format.h>

#include "common/strong_id.h"
#include "common/uuid.h"

namespace qlab {

using NodeId = StrongId<struct NodeIdTag, std::int32_t>;  // Kafka's node.id; >= 0.
using Offset = StrongId<struct OffsetTag, std::int64_t>;  // Of a record in a partition; >= 0.
using LeaderEpoch =
    StrongId<struct LeaderEpochTag, std::int32_t>;  // Of a partition's leader; -1: none.
using BrokerEpoch =
    StrongId<struct BrokerEpochTag, std::int64_t>;  // Of one registration (KIP-380).
using PartitionIndex = StrongId<struct PartitionIndexTag, std::int32_t>;  // Within a topic; >= 0.
using ProducerId = StrongId<struct ProducerIdTag, std::int64_t>;

using Epoch =
    StrongId<struct EpochTag, std::int64_t>;  // Of consensus: Raft's term, KRaft's and ZAB's epoch.
using LogIndex =
    StrongId<struct LogIndexTag, std::int64_t>;  // Of a consensus entry; the first is 1.

using TopicId = Uuid;
using DirectoryId =
    Uuid;  // Identity of a data directory (KIP-853): a wiped disk is another replica.

inline constexpr NodeId no_node{-1};
inline constexpr LeaderEpoch no_leader_epoch{-1};

struct TopicPartition {
  std::string topic;
  PartitionIndex partition;

  auto operator<=>(const TopicPartition&) const = default;
  // Kafka's name of a partition and of its directory: `orders-3`.
  std::string name() const { return fmt::format("{}-{}", topic, partition); }
};

}  // namespace qlab

template <>
struct std::hash<qlab::TopicPartition> {
  std::size_t operator()(const qlab::TopicPartition& tp) const noexcept {
    return std::hash<std::string>{}(tp.topic) * 31 +
           std::hash<qlab::PartitionIndex>{}(tp.partition);
  }
};
