#pragma once
// Kafka's znodes: where they are and what stands in them, as JSON, by Kafka's own names.
//
// Values come from a service that others may write to: what does not decode is an error with the
// znode's path in it, never a defect. Source: Kafka 3.9, ZkData.

#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/ids.h"
#include "metadata/image.h"

namespace qlab::controller::znodes {

inline constexpr std::string_view controller = "/controller";
inline constexpr std::string_view controller_epoch = "/controller_epoch";
inline constexpr std::string_view broker_ids = "/brokers/ids";
inline constexpr std::string_view topics = "/brokers/topics";
inline constexpr std::string_view deletions = "/admin/delete_topics";
inline constexpr std::string_view topic_configs = "/config/topics";
inline constexpr std::string_view config_changes = "/config/changes";
inline constexpr std::string_view producer_ids = "/latest_producer_id_block";
// Of all brokers that say nothing themselves.
inline constexpr std::string_view default_entity = "<default>";

// Parents that always exist, each after its own parent.
const std::vector<std::string>& top_level();

std::string broker(NodeId id);
std::string topic(std::string_view name);
std::string partitions(std::string_view topic_name);
std::string partition(std::string_view topic_name, PartitionIndex index);
std::string state(std::string_view topic_name, PartitionIndex index);
std::string deletion(std::string_view topic_name);
std::string topic_config(std::string_view name);

// /controller
std::string controller_value(NodeId id, WallMillis now);
Result<NodeId> decode_controller(ByteView value);

// /controller_epoch: a number alone.
Result<std::int32_t> decode_number(std::string_view path, ByteView value);

// /brokers/ids/N, version 5.
struct BrokerValue {
  std::string host;
  std::uint16_t port = 0;
  std::string rack;  // Empty: none.
};
std::string broker_value(const BrokerValue& broker, WallMillis now);
Result<BrokerValue> decode_broker(std::string_view path, ByteView value);

// /brokers/topics/T, version 3.
struct TopicValue {
  TopicId id;
  std::vector<std::vector<NodeId>> replicas;  // By partition.
  struct Move {
    PartitionIndex partition;
    std::vector<NodeId> adding;
    std::vector<NodeId> removing;
  };
  std::vector<Move> moves;
};
std::string topic_value(const TopicValue& topic);
Result<TopicValue> decode_topic(std::string_view path, ByteView value);

// /brokers/topics/T/partitions/P/state, version 1.
struct StateValue {
  NodeId leader = no_node;
  LeaderEpoch leader_epoch;
  std::int32_t controller_epoch = 0;
  std::vector<NodeId> isr;
  bool recovering = false;
};
std::string state_value(const StateValue& state);
Result<StateValue> decode_state(std::string_view path, ByteView value);

// /config/.../NAME, version 1.
std::string config_value(const metadata::Configs& configs);
Result<metadata::Configs> decode_config(std::string_view path, ByteView value);

// /config/changes/config_change_N, version 2: whose configs changed, as their path below /config.
std::string config_change_value(std::string_view entity);
Result<std::string> decode_config_change(ByteView value);

// /latest_producer_id_block, version 1. The end belongs to the block.
struct ProducerIdsValue {
  NodeId broker;
  std::int64_t first = 0;
  std::int64_t last = -1;
};
std::string producer_ids_value(const ProducerIdsValue& block);
Result<ProducerIdsValue> decode_producer_ids(ByteView value);

}  // namespace qlab::controller::znodes
