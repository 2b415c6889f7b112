#include "controller/zk/request_batch.h"

#include <algorithm>

#include "controller/administer.h"
#include "wire/kafka/leader_and_isr.h"
#include "wire/kafka/stop_replica.h"
#include "wire/kafka/update_metadata.h"

namespace qlab::controller {
namespace {

constexpr NodeId leader_during_delete{-2};
constexpr LeaderEpoch epoch_during_delete{-2};
constexpr std::int8_t all_is_told = 2;

template <class Message>
std::shared_ptr<const Bytes> body_of(const Message& message) {
  return std::make_shared<const Bytes>(encode_newest(message));
}

// The topic's part of a request: of the last topic, or a new one behind it.
template <class Request>
auto& part_of(Request& request, const ZkTopic& topic) {
  if (request.topic_states.empty() || request.topic_states.back().topic_name != topic.name) {
    auto& part = request.topic_states.emplace_back();
    part.topic_name = topic.name;
    if constexpr (requires { part.topic_id; }) part.topic_id = topic.id;
  }
  return request.topic_states.back();
}

}  // namespace

void RequestBatch::add_leader_and_isr(NodeId broker, PartitionRef partition, bool is_new) {
  leads_[broker].push_back({partition, is_new});
  updated_.push_back(partition);
}

void RequestBatch::add_stop_replica(NodeId broker, PartitionRef partition, bool remove) {
  stops_[broker].push_back({partition, remove});
}

void RequestBatch::add_update_metadata(const std::vector<NodeId>& brokers) {
  informed_.insert(brokers.begin(), brokers.end());
}

void RequestCounts::add(const RequestCounts& more) {
  leader_and_isr += more.leader_and_isr;
  update_metadata += more.update_metadata;
  stop_replica += more.stop_replica;
  leader_and_isr_bytes += more.leader_and_isr_bytes;
  update_metadata_bytes += more.update_metadata_bytes;
  stop_replica_bytes += more.stop_replica_bytes;
}

RequestCounts RequestBatch::send(BrokerChannels& channels) {
  if (!leads_.empty()) add_update_metadata(context_.live_brokers());
  for (auto& [broker, leads] : std::exchange(leads_, {})) {
    if (channels.has(broker)) send_leader_and_isr(channels, broker, std::move(leads));
  }
  send_update_metadata(channels);
  for (const auto& [broker, stops] : std::exchange(stops_, {})) {
    if (channels.has(broker)) send_stop_replica(channels, broker, stops);
  }
  return std::exchange(counts_, {});
}

void RequestBatch::send_leader_and_isr(BrokerChannels& channels, NodeId broker,
                                       std::vector<Lead> leads) {
  // A partition that was added more than once is told of once, as new if it was so once.
  std::stable_sort(leads.begin(), leads.end(), [](const Lead& a, const Lead& b) {
    if (a.partition == b.partition) return a.is_new && !b.is_new;
    return a.partition < b.partition;
  });
  const auto last = std::unique(leads.begin(), leads.end(), [](const Lead& a, const Lead& b) {
    return a.partition == b.partition;
  });
  leads.erase(last, leads.end());
  for (std::size_t at = 0; at < leads.size();) {
    const std::size_t end = std::min(leads.size(), at + options_.partitions_per_request_max);
    wire::LeaderAndIsrRequest request;
    request.controller_id = options_.self;
    request.controller_epoch = controller_epoch_;
    std::set<NodeId> leaders;
    for (; at < end; ++at) {
      const PartitionRef ref = leads[at].partition;
      const ZkPartition& partition = ref.get();
      auto& state = part_of(request, *ref.topic).partition_states.emplace_back();
      state.partition_index = ref.index;
      state.controller_epoch = partition.controller_epoch;
      state.leader = partition.leader;
      state.leader_epoch = partition.leader_epoch;
      state.isr = context_.isr(partition);
      state.partition_epoch = partition.version;
      state.replicas = context_.replicas(partition);
      const auto move = ref.topic->moves.find(ref.index);
      if (move != ref.topic->moves.end()) {
        state.adding_replicas = move->second.adding;
        state.removing_replicas = move->second.removing;
      }
      state.is_new = leads[at].is_new;
      state.leader_recovery_state = partition.recovering ? 1 : 0;
      leaders.insert(partition.leader);
    }
    for (const NodeId id : leaders) {
      const auto live = context_.brokers.find(id);
      if (live == context_.brokers.end()) continue;
      request.live_leaders.push_back({id, live->second.at.host, live->second.at.port});
    }
    ControlRequest control{wire::ApiKey::leader_and_isr, body_of(request), {}};
    ++counts_.leader_and_isr;
    counts_.leader_and_isr_bytes += static_cast<std::int64_t>(control.body->size());
    channels.push(broker, std::move(control));
  }
}

void RequestBatch::send_update_metadata(BrokerChannels& channels) {
  std::vector<PartitionRef> partitions = std::exchange(updated_, {});
  std::set<NodeId> brokers = std::exchange(informed_, {});
  const bool is_all = std::exchange(is_all_, false);
  std::erase_if(brokers, [&](NodeId broker) { return !channels.has(broker); });
  if (brokers.empty()) return;
  // Of a partition that has no state yet there is nothing to tell.
  std::erase_if(partitions, [](PartitionRef ref) {
    return !ref.get().has_state() && !ref.topic->to_be_deleted;
  });
  std::sort(partitions.begin(), partitions.end());
  partitions.erase(std::unique(partitions.begin(), partitions.end()), partitions.end());
  std::size_t at = 0;
  do {
    const std::size_t end = std::min(partitions.size(), at + options_.partitions_per_request_max);
    wire::UpdateMetadataRequest request;
    request.controller_id = options_.self;
    request.controller_epoch = controller_epoch_;
    for (; at < end; ++at) {
      const PartitionRef ref = partitions[at];
      const ZkPartition& partition = ref.get();
      auto& state = part_of(request, *ref.topic).partition_states.emplace_back();
      state.partition_index = ref.index;
      state.controller_epoch = partition.controller_epoch;
      const bool goes = ref.topic->to_be_deleted;
      state.leader = goes ? leader_during_delete : partition.leader;
      state.leader_epoch = partition.leader_epoch;
      state.isr = context_.isr(partition);
      state.zk_version = partition.version;
      state.replicas = context_.replicas(partition);
      for (const NodeId node : state.replicas) {
        if (!context_.is_live(node)) state.offline_replicas.push_back(node);
      }
    }
    if (is_all && at == partitions.size()) request.kind = all_is_told;
    for (const auto& [id, broker] : context_.brokers) {
      auto& live = request.live_brokers.emplace_back();
      live.id = id;
      live.endpoints.push_back({broker.at.port, broker.at.host, "PLAINTEXT", 0});
      if (!broker.at.rack.empty()) live.rack = broker.at.rack;
    }
    const ControlRequest control{wire::ApiKey::update_metadata, body_of(request), {}};
    for (const NodeId broker : brokers) {
      ++counts_.update_metadata;
      counts_.update_metadata_bytes += static_cast<std::int64_t>(control.body->size());
      channels.push(broker, control);
    }
  } while (at < partitions.size());
}

void RequestBatch::send_stop_replica(BrokerChannels& channels, NodeId broker,
                                     const std::vector<Stop>& stops) {
  for (std::size_t at = 0; at < stops.size();) {
    const std::size_t end = std::min(stops.size(), at + options_.partitions_per_request_max);
    wire::StopReplicaRequest request;
    request.controller_id = options_.self;
    request.controller_epoch = controller_epoch_;
    std::vector<TopicPartition> deleted;
    for (; at < end; ++at) {
      const PartitionRef ref = stops[at].partition;
      auto& state = part_of(request, *ref.topic).partition_states.emplace_back();
      state.partition_index = ref.index;
      state.leader_epoch = ref.topic->to_be_deleted ? epoch_during_delete : ref.get().leader_epoch;
      state.delete_partition = stops[at].remove;
      if (stops[at].remove) deleted.push_back({ref.topic->name, ref.index});
    }
    ControlRequest control{wire::ApiKey::stop_replica, body_of(request), {}};
    if (!deleted.empty()) {
      control.on_response = [on_deleted = on_deleted_, broker, deleted](ByteView response) {
        on_deleted(broker, deleted, response);
      };
    }
    ++counts_.stop_replica;
    counts_.stop_replica_bytes += static_cast<std::int64_t>(control.body->size());
    channels.push(broker, std::move(control));
  }
}

}  // namespace qlab::controller
