// What a client asks for as an administrator: larger topics, moves of partitions, elections,
// configs. What an answer leaves open may come to pass at any later time (last_writes.h).

#include <fmt/format.h>

#include "runtime/trace.h"
#include "sim/cluster_client.h"
#include "wire/kafka/alter_partition_reassignments.h"
#include "wire/kafka/create_partitions.h"
#include "wire/kafka/elect_leaders.h"
#include "wire/kafka/incremental_alter_configs.h"

namespace qlab::sim {
namespace {

using runtime::Task;
using std::chrono::milliseconds;
using wire::KafkaError;

constexpr Duration patience = milliseconds(2500);
constexpr std::int32_t timeout_ms = 2000;
constexpr std::int32_t partitions_most = 8;  // That a topic with data grows to.
constexpr std::int8_t topic_resource = 2;

struct Setting {
  std::string key;
  std::optional<std::string> value;  // Nothing: the topic says it no longer.
};

Setting draw_setting(Prng& random, bool may_lose_records) {
  Setting setting;
  switch (random.below(may_lose_records ? 4 : 3)) {
    case 0:
      setting = {"min.insync.replicas", fmt::format("{}", random.between(1, 3))};
      break;
    case 1:
      setting = {"retention.ms", fmt::format("{}", 86'400'000 * random.between(1, 9))};
      break;
    case 2:
      setting = {"cleanup.policy", random.chance(0.5) ? "delete" : "compact"};
      break;
    default:
      setting = {"unclean.leader.election.enable", random.chance(0.5) ? "true" : "false"};
  }
  if (random.chance(0.3)) setting.value.reset();
  return setting;
}

// What was told of a write that began before.
template <class Value>
void settle(LastWrites<Value>& writes, typename LastWrites<Value>::Write write, KafkaError error,
            const Promises& promises, Time now) {
  if (error == KafkaError::none) writes.acknowledge(write, now);
  if (promises.is_final_refusal(error)) writes.refuse(write);
}

}  // namespace

Task<void> ClusterClient::administer() {
  auto partition = any_partition();
  if (!partition || random_.chance(0.2)) {
    partition = TopicPartition{fmt::format("churn-{}", random_.below(churn_names)),
                               PartitionIndex{static_cast<std::int32_t>(random_.below(8))}};
  }
  switch (random_.below(8)) {
    case 0:
      co_return co_await grow(partition->topic);
    case 1:
    case 2:
    case 3:
      co_return co_await move_somewhere(*partition);
    case 4:
      co_return co_await move(*partition, std::nullopt);
    case 5:
      co_return co_await elect(*partition);
    default:
      co_return co_await change_config(partition->topic);
  }
}

std::vector<NodeId> ClusterClient::some_brokers(std::int16_t count) {
  std::vector<NodeId> brokers = options_.brokers;
  while (brokers.size() > static_cast<std::size_t>(count)) {
    brokers.erase(brokers.begin() + static_cast<std::ptrdiff_t>(random_.below(brokers.size())));
  }
  for (std::size_t left = brokers.size(); left > 1; --left) {
    std::swap(brokers[left - 1], brokers[random_.below(left)]);
  }
  return brokers;
}

Task<void> ClusterClient::grow(std::string name) {
  const TopicFate* const fate = fate_of(name);
  const std::int32_t count =
      fate == nullptr ? static_cast<std::int32_t>(random_.between(1, options_.churn_partitions_max))
                      : fate->partitions + static_cast<std::int32_t>(random_.between(1, 3));
  if (fate != nullptr && count > partitions_most) co_return;
  wire::CreatePartitionsRequest request;
  request.timeout_ms = timeout_ms;
  auto& wanted = request.topics.emplace_back();
  wanted.name = name;
  wanted.count = count;
  const NodeId broker = any_broker();
  const auto answer = co_await connections_.ask(broker, std::move(request), 3, patience);
  if (!answer || answer->message.results.empty()) co_return tell("client_grow", name, "no answer");
  const KafkaError error = answer->message.results[0].error_code;
  tell("client_grow", name, wire::name_of(error));
  if (error != KafkaError::none) co_return;
  ++history_.reached.topics_grown;
  TopicFate* const grown = fate_of(name);
  if (grown != nullptr) grown->partitions = std::max(grown->partitions, count);
}

Task<void> ClusterClient::move_somewhere(TopicPartition partition) {
  const TopicFate* const fate = fate_of(partition.topic);
  const bool is_as_large = fate != nullptr && random_.chance(0.7);
  const auto count = is_as_large
                         ? fate->replicas
                         : static_cast<std::int16_t>(random_.between(1, options_.replicas_max));
  std::vector<NodeId> target = some_brokers(count);
  co_await move(partition, std::move(target));
  // Most moves are over before anybody else thinks of them.
  if (random_.chance(0.3)) co_await move(partition, std::nullopt);
}

Task<void> ClusterClient::move(TopicPartition partition,
                               std::optional<std::vector<NodeId>> target) {
  TopicFate* const fate = fate_of(partition.topic);
  LastWrites<std::optional<std::vector<NodeId>>>::Write write = 0;
  if (fate != nullptr) write = fate->moves[partition.partition].begin(target, runtime_.now());
  wire::AlterPartitionReassignmentsRequest request;
  request.timeout_ms = timeout_ms;
  auto& topic = request.topics.emplace_back();
  topic.name = partition.topic;
  auto& wanted = topic.partitions.emplace_back();
  wanted.partition_index = partition.partition;
  wanted.replicas = target;
  const NodeId broker = any_broker();
  const auto answer = co_await connections_.ask(broker, std::move(request), 0, patience);
  if (!answer || answer->message.responses.empty())
    co_return tell("client_move", partition.name(), "no answer");
  const KafkaError error = answer->message.responses[0].partitions.at(0).error_code;
  tell("client_move", partition.name(), wire::name_of(error));
  if (error == KafkaError::none && target) ++history_.reached.moves_begun;
  TopicFate* const now = fate_of(partition.topic);
  if (now == nullptr) co_return;
  settle(now->moves[partition.partition], write, error, history_.promises, runtime_.now());
}

Task<void> ClusterClient::elect(TopicPartition partition) {
  wire::ElectLeadersRequest request;
  request.timeout_ms = timeout_ms;
  // An unclean election may lose records.
  request.election_type = !history_.promises.records_stay && random_.chance(0.3) ? 1 : 0;
  if (random_.chance(0.6)) {
    auto& topic = request.topic_partitions.emplace().emplace_back();
    topic.topic = partition.topic;
    topic.partitions.push_back(partition.partition);
  }
  const NodeId broker = any_broker();
  const auto answer = co_await connections_.ask(broker, std::move(request), 2, patience);
  if (!answer) co_return tell("client_elect", partition.name(), "no answer");
  tell("client_elect", partition.name(), wire::name_of(answer->message.error_code));
  for (const auto& topic : answer->message.replica_election_results) {
    for (const auto& one : topic.partition_result) {
      if (one.error_code == KafkaError::none) ++history_.reached.elections;
    }
  }
}

Task<void> ClusterClient::change_config(std::string name) {
  const Setting setting = draw_setting(random_, !history_.promises.records_stay);
  LastWrites<std::optional<std::string>>::Write write = 0;
  if (TopicFate* const fate = fate_of(name)) {
    write = fate->configs[setting.key].begin(setting.value, runtime_.now());
  }
  wire::IncrementalAlterConfigsRequest request;
  auto& resource = request.resources.emplace_back();
  resource.resource_type = topic_resource;
  resource.resource_name = name;
  auto& config = resource.configs.emplace_back();
  config.name = setting.key;
  config.config_operation = setting.value ? 0 : 1;
  config.value = setting.value;
  const NodeId broker = any_broker();
  const auto answer = co_await connections_.ask(broker, std::move(request), 1, patience);
  if (!answer || answer->message.responses.empty())
    co_return tell("client_config", name, "no answer");
  const KafkaError error = answer->message.responses[0].error_code;
  tell("client_config", name, wire::name_of(error));
  if (error == KafkaError::none) ++history_.reached.configs_changed;
  TopicFate* const now = fate_of(name);
  if (now == nullptr) co_return;
  settle(now->configs[setting.key], write, error, history_.promises, runtime_.now());
}

}  // namespace qlab::sim
