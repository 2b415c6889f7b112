#include "controller/zk/context.h"

#include <algorithm>

#include "common/check.h"

namespace qlab::controller {

std::uint32_t NodeLists::number_of(const std::vector<NodeId>& nodes) {
  const auto [at, is_new] = numbers_.try_emplace(nodes, static_cast<std::uint32_t>(lists_.size()));
  if (is_new) lists_.push_back(&at->first);
  return at->second;
}

ZkTopic* Context::topic(const std::string& name) {
  const auto at = topics_.find(name);
  return at == topics_.end() ? nullptr : &at->second;
}

ZkTopic* Context::topic(TopicId id) {
  const auto at = by_id_.find(id);
  return at == by_id_.end() ? nullptr : at->second;
}

ZkTopic& Context::add_topic(const std::string& name, const znodes::TopicValue& value,
                            std::int32_t version) {
  const auto [at, is_new] = topics_.try_emplace(name);
  CHECK(is_new);
  ZkTopic& topic = at->second;
  topic.name = name;
  topic.id = value.id;
  topic.number = ++last_number_;
  by_id_[topic.id] = &topic;
  names_bytes_ += sizeof(std::int32_t) + name.size();
  extend(topic, value, version);
  return topic;
}

std::vector<PartitionRef> Context::extend(ZkTopic& topic, const znodes::TopicValue& value,
                                          std::int32_t version) {
  std::vector<PartitionRef> added;
  topic.version = version;
  topic.moves.clear();
  for (const znodes::TopicValue::Move& move : value.moves) topic.moves[move.partition] = move;
  for (std::size_t p = topic.partitions.size(); p < value.replicas.size(); ++p) {
    topic.partitions.emplace_back();
    ++partition_count_;
    added.push_back({&topic, PartitionIndex{static_cast<std::int32_t>(p)}});
    set_replicas(added.back(), value.replicas[p]);
  }
  topic.replica_states.resize(topic.partitions.size() * topic.replicas_max,
                              ReplicaState::non_existent);
  return added;
}

void Context::remove_topic(const std::string& name) {
  const auto at = topics_.find(name);
  if (at == topics_.end()) return;
  partition_count_ -= at->second.partitions.size();
  names_bytes_ -= sizeof(std::int32_t) + name.size();
  by_id_.erase(at->second.id);
  topics_.erase(at);
}

std::vector<NodeId> Context::live_brokers() const {
  std::vector<NodeId> ids;
  for (const auto& [id, broker] : brokers) ids.push_back(id);
  return ids;
}

ReplicaState& Context::state_of(const ReplicaRef& replica) {
  ZkTopic& topic = *replica.partition.topic;
  const std::vector<NodeId>& nodes = replicas(replica.partition.get());
  const auto place = std::find(nodes.begin(), nodes.end(), replica.broker) - nodes.begin();
  CHECK(static_cast<std::size_t>(place) < nodes.size());
  const auto index = static_cast<std::size_t>(replica.partition.index.value());
  return topic.replica_states[index * topic.replicas_max + static_cast<std::size_t>(place)];
}

// Replicas that stay keep their states.
void Context::set_replicas(PartitionRef ref, const std::vector<NodeId>& nodes) {
  ZkTopic& topic = *ref.topic;
  if (nodes.size() > topic.replicas_max) {
    std::vector<ReplicaState> wider(topic.partitions.size() * nodes.size(),
                                    ReplicaState::non_existent);
    for (std::size_t p = 0; topic.replicas_max > 0 && p < topic.partitions.size(); ++p) {
      if ((p + 1) * topic.replicas_max > topic.replica_states.size()) break;
      std::copy_n(
          topic.replica_states.begin() + static_cast<std::ptrdiff_t>(p * topic.replicas_max),
          topic.replicas_max, wider.begin() + static_cast<std::ptrdiff_t>(p * nodes.size()));
    }
    topic.replica_states = std::move(wider);
    topic.replicas_max = nodes.size();
  }
  topic.replica_states.resize(topic.partitions.size() * topic.replicas_max,
                              ReplicaState::non_existent);
  ZkPartition& partition = ref.get();
  std::map<NodeId, ReplicaState> before;
  for (const NodeId node : replicas(partition)) before[node] = state_of({ref, node});
  partition.replicas = lists.number_of(nodes);
  const auto first =
      topic.replica_states.begin() +
      static_cast<std::ptrdiff_t>(static_cast<std::size_t>(ref.index.value()) * topic.replicas_max);
  std::fill_n(first, topic.replicas_max, ReplicaState::non_existent);
  for (const NodeId node : nodes) {
    if (before.contains(node)) state_of({ref, node}) = before[node];
  }
}

metadata::Partition Context::partition_of(PartitionRef ref) const {
  const ZkPartition& known = ref.get();
  metadata::Partition partition;
  partition.replicas = replicas(known);
  partition.isr = isr(known);
  partition.leader = known.leader;
  partition.leader_epoch = known.leader_epoch;
  partition.partition_epoch = known.version;
  partition.recovering = known.recovering;
  const auto move = ref.topic->moves.find(ref.index);
  if (move != ref.topic->moves.end()) {
    partition.adding = move->second.adding;
    partition.removing = move->second.removing;
  }
  return partition;
}

void Context::note_state(PartitionRef ref, const znodes::StateValue& state, std::int32_t version) {
  ZkPartition& partition = ref.get();
  partition.isr = lists.number_of(state.isr);
  partition.leader = state.leader;
  partition.leader_epoch = state.leader_epoch;
  partition.controller_epoch = state.controller_epoch;
  partition.recovering = state.recovering;
  partition.version = version;
  partition.leader_came_back = false;
}

void Context::for_each(const std::function<void(PartitionRef)>& visit) {
  for (auto& [name, topic] : topics_) {
    for (std::size_t p = 0; p < topic.partitions.size(); ++p) {
      visit({&topic, PartitionIndex{static_cast<std::int32_t>(p)}});
    }
  }
}

std::vector<PartitionRef> Context::partitions_of(ZkTopic& topic) {
  std::vector<PartitionRef> all;
  for (std::size_t p = 0; p < topic.partitions.size(); ++p) {
    all.push_back({&topic, PartitionIndex{static_cast<std::int32_t>(p)}});
  }
  return all;
}

std::vector<ReplicaRef> Context::replicas_of(PartitionRef partition) const {
  std::vector<ReplicaRef> all;
  for (const NodeId node : replicas(partition.get())) all.push_back({partition, node});
  return all;
}

std::vector<ReplicaRef> Context::replicas_on(const std::set<NodeId>& brokers_meant) {
  std::vector<ReplicaRef> all;
  for_each([&](PartitionRef ref) {
    for (const NodeId node : replicas(ref.get())) {
      if (brokers_meant.contains(node)) all.push_back({ref, node});
    }
  });
  return all;
}

}  // namespace qlab::controller
