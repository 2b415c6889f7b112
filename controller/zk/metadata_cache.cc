#include "controller/zk/metadata_cache.h"

#include <algorithm>

#include "common/check.h"
#include "controller/administer.h"

namespace qlab::controller {
namespace {

using metadata::Partition;
using wire::KafkaError;
using wire::LeaderAndIsrRequest;
using wire::LeaderAndIsrResponse;
using wire::StopReplicaRequest;
using wire::StopReplicaResponse;
using wire::UpdateMetadataRequest;
using wire::UpdateMetadataResponse;
using PartitionPtr = std::shared_ptr<const Partition>;

// In place of a leader: the topic is being deleted (Kafka's LeaderAndIsr.LeaderDuringDelete).
constexpr NodeId leader_during_delete{-2};
// In place of a leader epoch (Kafka's EpochDuringDelete and NoEpoch): any known one is old.
constexpr LeaderEpoch epoch_during_delete{-2};
constexpr LeaderEpoch no_epoch{-1};
constexpr std::int8_t all_is_told = 2;

bool is_index(PartitionIndex index) {
  return index.value() >= 0 && index.value() < metadata::Editor::partitions_max;
}

bool is_older(const Partition& a, const Partition& b) {
  if (a.leader_epoch != b.leader_epoch) return a.leader_epoch < b.leader_epoch;
  return a.partition_epoch < b.partition_epoch;
}

metadata::Broker broker_at(NodeId id, std::string host, std::int32_t port) {
  metadata::Broker broker;
  broker.id = id;
  broker.epoch = BrokerEpoch{-1};  // The controller tells nobody those of others.
  broker.host = std::move(host);
  broker.port = static_cast<std::uint16_t>(port);
  broker.fenced = false;
  return broker;
}

// What another image has of the same partition, if it is the same: then the two share it.
PartitionPtr shared_with(const metadata::Image& other, TopicId topic, PartitionIndex index,
                         Partition partition) {
  if (const metadata::TopicPtr known = other.topic(topic)) {
    const auto position = static_cast<std::size_t>(index.value());
    if (position < known->partitions.size() && *known->partitions[position] == partition) {
      return known->partitions[position];
    }
  }
  return std::make_shared<const Partition>(std::move(partition));
}

}  // namespace

bool MetadataCache::takes(std::int16_t api_key) {
  const wire::ApiKey api{api_key};
  return api == wire::ApiKey::leader_and_isr || api == wire::ApiKey::update_metadata ||
         api == wire::ApiKey::stop_replica;
}

Result<Bytes> MetadataCache::handle(std::int16_t api_key, ByteView body) {
  if (broker_epoch_ == BrokerEpoch{-1})
    return fail(Errc::closed, "broker {} is not registered", self_);
  const auto answer = [&]<class Request>(Request*) -> Result<Bytes> {
    TRY(const auto request, decode_newest<Request>(body));
    return encode_newest(take(request));
  };
  switch (wire::ApiKey{api_key}) {
    case wire::ApiKey::leader_and_isr:
      return answer(static_cast<LeaderAndIsrRequest*>(nullptr));
    case wire::ApiKey::update_metadata:
      return answer(static_cast<UpdateMetadataRequest*>(nullptr));
    case wire::ApiKey::stop_replica:
      return answer(static_cast<StopReplicaRequest*>(nullptr));
    default:
      CHECK(takes(api_key));
      return fail(Errc::unsupported, "api key {} is no control request", api_key);
  }
}

void MetadataCache::registered(BrokerEpoch epoch) {
  if (epoch <= broker_epoch_) return;
  broker_epoch_ = epoch;
  told_.emplace();
}

template <class Request>
KafkaError MetadataCache::fence(const Request& request) {
  const BrokerEpoch meant = request.broker_epoch;
  if (meant != BrokerEpoch{-1} && meant < broker_epoch_) return KafkaError::stale_broker_epoch;
  if (request.controller_epoch < controller_epoch_) return KafkaError::stale_controller_epoch;
  if (request.controller_epoch > controller_epoch_) told_.emplace();
  controller_epoch_ = request.controller_epoch;
  registered(meant);  // The controller may hear of a registration before the broker does.
  return KafkaError::none;
}

template <class Topic>
void MetadataCache::open(Change& change, const Topic& topic) const {
  change.editor.open_topic(topic.topic_id, topic.topic_name);
  const auto configs = topic_configs_.find(topic.topic_name);
  change.editor.set_configs(
      topic.topic_id, configs == topic_configs_.end() ? metadata::Configs{} : configs->second);
}

void MetadataCache::publish(Change& change, metadata::Publisher& publisher) {
  const metadata::Delta& delta = *change.delta;
  auto image = std::move(change.editor).finish(applied_.next());
  if (delta.topics.empty() && delta.brokers.empty() && !delta.broker_configs) return;
  applied_ = applied_.next();
  publisher.publish(std::make_shared<const metadata::Image>(std::move(image)),
                    std::move(change.delta));
}

LeaderAndIsrResponse MetadataCache::take(const LeaderAndIsrRequest& request) {
  LeaderAndIsrResponse response;
  response.error_code = fence(request);
  if (response.error_code != KafkaError::none) return response;
  Change change(replicas_);
  for (const auto& leader : request.live_leaders) {
    change.editor.set_broker(broker_at(leader.broker_id, leader.host_name, leader.port));
  }
  for (const auto& topic : request.topic_states) {
    // A topic that was deleted and made anew has other partitions under its name.
    if (const auto old = replicas_.image()->topic(topic.topic_name)) {
      if (old->id != topic.topic_id) hosted_.erase(old->id);
    }
    if (told_) told_->insert(topic.topic_id);
    open(change, topic);
    auto& answer = response.topics.emplace_back();
    answer.topic_id = topic.topic_id;
    for (const auto& state : topic.partition_states) {
      answer.partition_errors.push_back(
          {state.partition_index, host(change, topic.topic_id, state)});
    }
  }
  publish(change, replicas_);
  return response;
}

KafkaError MetadataCache::host(Change& change, TopicId topic,
                               const LeaderAndIsrRequest::PartitionState& state) {
  const auto is_here =
      std::find(state.replicas.begin(), state.replicas.end(), self_) != state.replicas.end();
  if (!is_index(state.partition_index) || !is_here || state.isr.empty()) {
    return KafkaError::invalid_request;
  }
  Partition partition;
  partition.replicas = state.replicas;
  partition.isr = state.isr;
  partition.leader = state.leader;
  partition.leader_epoch = state.leader_epoch;
  partition.partition_epoch = state.partition_epoch;
  partition.adding = state.adding_replicas;
  partition.removing = state.removing_replicas;
  partition.recovering = state.leader_recovery_state == 1;
  const Partition* known = change.editor.partition(topic, state.partition_index);
  if (known != nullptr && is_older(partition, *known)) return KafkaError::stale_controller_epoch;
  if (known != nullptr && *known == partition) return KafkaError::none;
  if (known == nullptr) ++hosted_[topic];
  change.editor.set_partition(
      topic, state.partition_index,
      shared_with(*cluster_.image(), topic, state.partition_index, std::move(partition)));
  return KafkaError::none;
}

UpdateMetadataResponse MetadataCache::take(const UpdateMetadataRequest& request) {
  UpdateMetadataResponse response;
  response.error_code = fence(request);
  if (response.error_code != KafkaError::none) return response;
  Change change(cluster_);
  Change here(replicas_);
  set_brokers(change, request);
  for (const auto& topic : request.topic_states) {
    const auto is_going = [](const auto& state) { return state.leader == leader_during_delete; };
    if (std::any_of(topic.partition_states.begin(), topic.partition_states.end(), is_going)) {
      change.editor.remove_topic(topic.topic_id);  // Of a topic all go or none does.
      drop_moved(here, topic);                     // Those that stayed are deleted by request.
      continue;
    }
    if (told_) told_->insert(topic.topic_id);
    open(change, topic);
    for (const auto& state : topic.partition_states) tell(change, topic.topic_id, state);
    drop_moved(here, topic);
  }
  if (request.kind == all_is_told) forget_untold(change, here);
  publish(change, cluster_);
  // Fetchers go by the newest address of a leader.
  for (const auto& [id, broker] : cluster_.image()->brokers()) {
    if (broker.is_active()) here.editor.set_broker(broker_at(id, broker.host, broker.port));
  }
  publish(here, replicas_);
  return response;
}

// Replicas whose partitions were moved to others while nobody could tell this broker to delete
// them.
void MetadataCache::drop_moved(Change& change, const UpdateMetadataRequest::TopicState& topic) {
  if (!hosted_.contains(topic.topic_id)) return;
  for (const auto& state : topic.partition_states) {
    if (!is_index(state.partition_index) || state.replicas.empty()) continue;
    const auto& replicas = state.replicas;
    if (std::find(replicas.begin(), replicas.end(), self_) != replicas.end()) continue;
    const Partition* known = change.editor.partition(topic.topic_id, state.partition_index);
    // Each step of a move has a leader epoch of its own.
    if (known == nullptr || known->leader_epoch >= state.leader_epoch) continue;
    change.editor.open_topic(topic.topic_id, topic.topic_name);
    drop(change, topic.topic_id, state.partition_index);
  }
  if (!hosted_.contains(topic.topic_id)) change.editor.remove_topic(topic.topic_id);
}

void MetadataCache::drop(Change& change, TopicId topic, PartitionIndex index) {
  change.editor.clear_partition(topic, index);
  if (--hosted_.at(topic) == 0) hosted_.erase(topic);
}

// Topics that were deleted while nobody could tell this broker. It may have replicas of them: those
// of partitions that had been moved to others before.
void MetadataCache::forget_untold(Change& cluster, Change& here) {
  if (!told_) return;
  cluster_.image()->topics().for_each([&](const std::string&, const metadata::TopicPtr& topic) {
    if (!told_->contains(topic->id)) cluster.editor.remove_topic(topic->id);
  });
  std::erase_if(hosted_, [&](const auto& hosted) {
    const bool is_gone = !told_->contains(hosted.first);
    if (is_gone) here.editor.remove_topic(hosted.first);
    return is_gone;
  });
  told_.reset();
}

void MetadataCache::set_brokers(Change& change, const UpdateMetadataRequest& request) const {
  std::set<NodeId> live;
  for (const auto& told : request.live_brokers) {
    if (told.endpoints.empty()) continue;
    metadata::Broker broker =
        broker_at(told.id, told.endpoints.front().host, told.endpoints.front().port);
    broker.rack = told.rack.value_or("");
    if (told.id == self_) broker.epoch = broker_epoch_;
    live.insert(told.id);
    change.editor.set_broker(std::move(broker));
  }
  // A broker that is gone was here once: it is shown to operators, and not to clients.
  for (const auto& [id, known] : cluster_.image()->brokers()) {
    if (live.contains(id)) continue;
    metadata::Broker gone = known;
    gone.fenced = true;
    change.editor.set_broker(std::move(gone));
  }
}

void MetadataCache::tell(Change& change, TopicId topic,
                         const UpdateMetadataRequest::PartitionState& state) const {
  if (!is_index(state.partition_index) || state.replicas.empty()) return;
  Partition partition;
  partition.replicas = state.replicas;
  partition.isr = state.isr;
  partition.leader = state.leader;
  partition.leader_epoch = state.leader_epoch;
  partition.partition_epoch = state.zk_version;
  const Partition* known = change.editor.partition(topic, state.partition_index);
  if (known != nullptr && (is_older(partition, *known) || *known == partition)) return;
  change.editor.set_partition(
      topic, state.partition_index,
      shared_with(*replicas_.image(), topic, state.partition_index, std::move(partition)));
}

StopReplicaResponse MetadataCache::take(const StopReplicaRequest& request) {
  StopReplicaResponse response;
  response.error_code = fence(request);
  if (response.error_code != KafkaError::none) return response;
  Change change(replicas_);
  for (const auto& told : request.topic_states) {
    const metadata::TopicPtr topic = replicas_.image()->topic(told.topic_name);
    if (topic != nullptr) change.editor.open_topic(topic->id, topic->name);
    for (const auto& state : told.partition_states) {
      const KafkaError error = stop(change, topic.get(), state);
      response.partition_errors.push_back({told.topic_name, state.partition_index, error});
    }
    if (topic != nullptr && !hosted_.contains(topic->id)) change.editor.remove_topic(topic->id);
  }
  publish(change, replicas_);
  return response;
}

// Without deletion nothing is left to do: the replica was taken out of the ISR, and it goes with
// its process.
KafkaError MetadataCache::stop(Change& change, const metadata::Topic* topic,
                               const StopReplicaRequest::PartitionState& state) {
  if (topic == nullptr || !is_index(state.partition_index)) return KafkaError::none;
  const Partition* known = change.editor.partition(topic->id, state.partition_index);
  if (known == nullptr) return KafkaError::none;
  const LeaderEpoch epoch = state.leader_epoch;
  const bool is_any = epoch == epoch_during_delete || epoch == no_epoch;
  if (!is_any && epoch < known->leader_epoch) return KafkaError::fenced_leader_epoch;
  if (!state.delete_partition) return KafkaError::none;
  drop(change, topic->id, state.partition_index);
  return KafkaError::none;
}

void MetadataCache::set_topic_configs(const std::string& topic, metadata::Configs configs) {
  if (configs.empty()) {
    topic_configs_.erase(topic);
  } else {
    topic_configs_[topic] = configs;
  }
  for (metadata::Publisher* publisher : {&replicas_, &cluster_}) {
    const metadata::TopicPtr known = publisher->image()->topic(topic);
    if (known == nullptr) continue;
    Change change(*publisher);
    change.editor.open_topic(known->id, topic);
    change.editor.set_configs(known->id, configs);
    publish(change, *publisher);
  }
}

void MetadataCache::set_broker_configs(NodeId broker, metadata::Configs configs) {
  for (metadata::Publisher* publisher : {&replicas_, &cluster_}) {
    Change change(*publisher);
    change.editor.set_broker_configs(broker, configs);
    publish(change, *publisher);
  }
}

}  // namespace qlab::controller
