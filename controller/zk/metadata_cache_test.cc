// A broker that hears of the cluster from a zk controller, or from two of them at once.

#include "controller/zk/metadata_cache.h"

#include <boost/test/unit_test.hpp>

#include "controller/administer.h"

namespace qlab::controller {
namespace {

using wire::KafkaError;
using wire::LeaderAndIsrRequest;
using wire::StopReplicaRequest;
using wire::UpdateMetadataRequest;

constexpr NodeId self{1};
constexpr NodeId other{2};
constexpr BrokerEpoch registration{40};
constexpr PartitionIndex p0{0};
constexpr PartitionIndex p1{1};
const TopicId orders{Uuid{7, 1}};
const TopicId later_orders{Uuid{7, 2}};

struct Broker {
  metadata::Publisher cluster;
  metadata::Publisher replicas;
  std::vector<metadata::DeltaPtr> deltas;  // Of the replicas here.
  MetadataCache cache{self, cluster, replicas};

  Broker() {
    cache.registered(registration);
    replicas.subscribe([this](const auto&, const auto& delta) { deltas.push_back(delta); });
  }
  const metadata::Partition* told(PartitionIndex index) const {
    return cluster.image()->partition(orders, index);
  }
  const metadata::Partition* hosted(PartitionIndex index, TopicId topic = orders) const {
    return replicas.image()->partition(topic, index);
  }
};

LeaderAndIsrRequest::PartitionState lead(PartitionIndex index, NodeId leader, int leader_epoch) {
  LeaderAndIsrRequest::PartitionState state;
  state.partition_index = index;
  state.leader = leader;
  state.leader_epoch = LeaderEpoch{leader_epoch};
  state.replicas = {self, other};
  state.isr = {self, other};
  return state;
}

LeaderAndIsrRequest leader_and_isr(
    std::vector<LeaderAndIsrRequest::PartitionState> partition_states, TopicId id = orders) {
  LeaderAndIsrRequest request;
  request.controller_epoch = 3;
  request.broker_epoch = registration;
  auto& topic = request.topic_states.emplace_back();
  topic.topic_name = "orders";
  topic.topic_id = id;
  topic.partition_states = std::move(partition_states);
  request.live_leaders.push_back({other, "second", 9092});
  return request;
}

UpdateMetadataRequest update(NodeId leader, int leader_epoch, std::set<NodeId> live) {
  UpdateMetadataRequest request;
  request.controller_epoch = 3;
  request.broker_epoch = registration;
  auto& topic = request.topic_states.emplace_back();
  topic.topic_name = "orders";
  topic.topic_id = orders;
  auto& state = topic.partition_states.emplace_back();
  state.leader = leader;
  state.leader_epoch = LeaderEpoch{leader_epoch};
  state.replicas = {self, other};
  state.isr = {self, other};
  for (const NodeId id : live) {
    auto& broker = request.live_brokers.emplace_back();
    broker.rack = fmt::format("rack-{}", id);
    broker.id = id;
    auto& endpoint = broker.endpoints.emplace_back();
    endpoint.host = fmt::format("host-{}", id);
    endpoint.port = 9092;
  }
  return request;
}

StopReplicaRequest stop(PartitionIndex index, int leader_epoch, bool delete_partition) {
  StopReplicaRequest request;
  request.controller_epoch = 3;
  request.broker_epoch = registration;
  auto& topic = request.topic_states.emplace_back();
  topic.topic_name = "orders";
  auto& state = topic.partition_states.emplace_back();
  state.partition_index = index;
  state.leader_epoch = LeaderEpoch{leader_epoch};
  state.delete_partition = delete_partition;
  return request;
}

KafkaError only_error(const wire::LeaderAndIsrResponse& response) {
  return response.topics.at(0).partition_errors.at(0).error_code;
}

BOOST_AUTO_TEST_SUITE(metadata_cache)

BOOST_AUTO_TEST_CASE(what_is_here_and_what_clients_are_told_come_by_different_requests) {
  Broker broker;
  BOOST_TEST(
      (only_error(broker.cache.take(leader_and_isr({lead(p0, self, 5)}))) == KafkaError::none));
  BOOST_TEST((broker.hosted(p0)->leader == self));
  BOOST_TEST((broker.told(p0) == nullptr));
  BOOST_TEST(broker.replicas.image()->broker(other)->host == "second");

  BOOST_TEST((broker.cache.take(update(self, 5, {self, other})).error_code == KafkaError::none));
  BOOST_TEST((broker.told(p0)->leader == self));
  // The same partition is there once.
  BOOST_TEST(broker.told(p0) == broker.hosted(p0));
  BOOST_TEST((broker.cluster.image()->broker(self)->epoch == registration));
  BOOST_TEST(broker.cluster.image()->broker(other)->rack == "rack-2");
  BOOST_TEST(broker.replicas.image()->broker(other)->host == "host-2");
}

BOOST_AUTO_TEST_CASE(a_request_of_an_older_controller_changes_nothing) {
  Broker broker;
  broker.cache.take(leader_and_isr({lead(p0, self, 5)}));
  auto stale = leader_and_isr({lead(p0, other, 6)});
  stale.controller_epoch = 2;
  const auto response = broker.cache.take(stale);
  BOOST_TEST((response.error_code == KafkaError::stale_controller_epoch));
  BOOST_TEST((broker.hosted(p0)->leader == self));

  auto stale_update = update(other, 6, {other});
  stale_update.controller_epoch = 2;
  BOOST_TEST((broker.cache.take(stale_update).error_code == KafkaError::stale_controller_epoch));
  BOOST_TEST((broker.told(p0) == nullptr));
  auto stale_stop = stop(p0, 6, true);
  stale_stop.controller_epoch = 2;
  BOOST_TEST((broker.cache.take(stale_stop).error_code == KafkaError::stale_controller_epoch));
  BOOST_TEST((broker.hosted(p0) != nullptr));
}

BOOST_AUTO_TEST_CASE(a_request_for_an_older_registration_changes_nothing) {
  Broker broker;
  auto stale = leader_and_isr({lead(p0, self, 5)});
  stale.broker_epoch = BrokerEpoch{39};
  BOOST_TEST((broker.cache.take(stale).error_code == KafkaError::stale_broker_epoch));
  BOOST_TEST((broker.hosted(p0) == nullptr));
  // The controller may know of a registration that this broker has not heard of yet.
  auto early = leader_and_isr({lead(p0, self, 5)});
  early.broker_epoch = BrokerEpoch{41};
  BOOST_TEST((broker.cache.take(early).error_code == KafkaError::none));
  BOOST_TEST((broker.cache.take(leader_and_isr({lead(p0, other, 6)})).error_code ==
              KafkaError::stale_broker_epoch));
}

BOOST_AUTO_TEST_CASE(an_older_state_of_a_partition_is_refused_and_a_repeated_one_is_no_change) {
  Broker broker;
  broker.cache.take(leader_and_isr({lead(p0, self, 5)}));
  BOOST_TEST((only_error(broker.cache.take(leader_and_isr({lead(p0, other, 4)}))) ==
              KafkaError::stale_controller_epoch));
  const std::size_t changes = broker.deltas.size();
  BOOST_TEST(
      (only_error(broker.cache.take(leader_and_isr({lead(p0, self, 5)}))) == KafkaError::none));
  BOOST_TEST(broker.deltas.size() == changes);

  broker.cache.take(update(self, 5, {self, other}));
  broker.cache.take(update(other, 4, {self, other}));
  BOOST_TEST((broker.told(p0)->leader == self));
}

BOOST_AUTO_TEST_CASE(a_small_request_after_a_large_one_changes_what_it_names) {
  Broker broker;
  std::vector<LeaderAndIsrRequest::PartitionState> states;
  for (int p = 0; p < 1000; ++p) states.push_back(lead(PartitionIndex{p}, self, 5));
  broker.cache.take(leader_and_isr(std::move(states)));
  broker.cache.take(leader_and_isr({lead(p1, other, 6)}));
  const auto& changed = broker.deltas.back()->partitions.at(orders);
  BOOST_TEST((changed == std::set<PartitionIndex>{p1}));
  BOOST_TEST((broker.hosted(p1)->leader == other));
}

BOOST_AUTO_TEST_CASE(a_broker_that_is_no_longer_named_is_fenced) {
  Broker broker;
  broker.cache.take(update(self, 5, {self, other}));
  BOOST_TEST(broker.cluster.image()->is_active(other));
  broker.cache.take(update(self, 5, {self}));
  BOOST_TEST(!broker.cluster.image()->is_active(other));
  BOOST_TEST(broker.cluster.image()->broker(other)->fenced);
}

BOOST_AUTO_TEST_CASE(a_replica_is_deleted_by_an_epoch_that_is_not_old) {
  Broker broker;
  broker.cache.take(leader_and_isr({lead(p0, self, 5), lead(p1, self, 5)}));
  auto response = broker.cache.take(stop(p0, 4, true));
  BOOST_TEST((response.partition_errors.at(0).error_code == KafkaError::fenced_leader_epoch));
  broker.cache.take(stop(p0, 5, false));
  BOOST_TEST(broker.hosted(p0)->replicas.size() == 2u);
  broker.cache.take(stop(p0, 5, true));
  BOOST_TEST(broker.hosted(p0)->replicas.empty());
  BOOST_TEST(broker.hosted(p1)->replicas.size() == 2u);
  // With its last partition the topic is gone from here.
  broker.cache.take(stop(p1, -2, true));
  BOOST_TEST((broker.replicas.image()->topic(orders) == nullptr));
  response = broker.cache.take(stop(p1, -2, true));
  BOOST_TEST((response.partition_errors.at(0).error_code == KafkaError::none));
}

BOOST_AUTO_TEST_CASE(a_deleted_topic_is_gone_and_one_made_anew_under_its_name_is_another) {
  Broker broker;
  broker.cache.take(leader_and_isr({lead(p0, self, 5)}));
  broker.cache.take(update(self, 5, {self, other}));
  broker.cache.take(update(NodeId{-2}, 5, {self, other}));
  BOOST_TEST((broker.cluster.image()->topic(orders) == nullptr));
  // Its StopReplica is late: the new topic of the name tells as much.
  broker.cache.take(leader_and_isr({lead(p1, self, 0)}, later_orders));
  BOOST_TEST((broker.hosted(p0) == nullptr));
  BOOST_TEST((broker.hosted(p1, later_orders)->leader == self));
  BOOST_TEST(broker.deltas.back()->topics.contains(orders));
}

BOOST_AUTO_TEST_CASE(a_topic_that_a_new_controller_does_not_name_is_gone_once_it_has_told_of_all) {
  Broker broker;
  broker.cache.take(update(self, 5, {self}));
  UpdateMetadataRequest request = update(self, 5, {self});
  request.controller_epoch = 4;
  request.topic_states.front().topic_name = "payments";
  request.topic_states.front().topic_id = later_orders;
  broker.cache.take(request);
  BOOST_TEST((broker.told(p0) != nullptr));  // It may be named yet.
  request.topic_states.clear();
  request.kind = 2;
  broker.cache.take(request);
  BOOST_TEST((broker.told(p0) == nullptr));
  BOOST_TEST((broker.cluster.image()->topic(later_orders) != nullptr));
  // What it told before counts no more when it says so again.
  broker.cache.take(request);
  BOOST_TEST((broker.cluster.image()->topic(later_orders) != nullptr));
}

BOOST_AUTO_TEST_CASE(a_topic_that_was_deleted_while_the_broker_was_away_is_gone_when_it_is_back) {
  Broker broker;
  broker.cache.take(update(self, 5, {self}));
  broker.cache.registered(registration.plus(1));
  UpdateMetadataRequest request = update(self, 5, {self});
  request.broker_epoch = registration.plus(1);
  request.topic_states.clear();
  request.kind = 2;
  broker.cache.take(request);
  BOOST_TEST((broker.told(p0) == nullptr));
}

BOOST_AUTO_TEST_CASE(a_replica_whose_partition_was_moved_while_the_broker_was_away_is_dropped) {
  Broker broker;
  broker.cache.take(leader_and_isr({lead(p0, self, 5), lead(p1, self, 5)}));
  const auto moved = [](int leader_epoch) {
    UpdateMetadataRequest request = update(other, leader_epoch, {self, other});
    request.topic_states[0].partition_states[0].replicas = {other};
    request.topic_states[0].partition_states[0].isr = {other};
    return request;
  };
  // What was before the replica came here.
  broker.cache.take(moved(4));
  BOOST_TEST(!broker.hosted(p0)->replicas.empty());
  broker.cache.take(moved(6));
  BOOST_TEST(broker.hosted(p0)->replicas.empty());
  BOOST_TEST((broker.hosted(p1)->leader == self));
  BOOST_TEST((broker.told(p0)->leader == other));
  // And if it moves back, it is here again.
  broker.cache.take(leader_and_isr({lead(p0, self, 7)}));
  BOOST_TEST((broker.hosted(p0)->leader == self));
}

// A new controller tells of the topic while it deletes it, and has a broker delete those replicas
// alone that are to be there.
BOOST_AUTO_TEST_CASE(a_replica_that_was_moved_goes_when_its_topic_is_deleted_next) {
  Broker broker;
  broker.cache.take(leader_and_isr({lead(p0, self, 5), lead(p1, self, 5)}));
  auto stays = leader_and_isr({lead(p1, other, 6)});
  stays.controller_epoch = 4;
  broker.cache.take(stays);
  UpdateMetadataRequest going = update(NodeId{-2}, 7, {self, other});
  going.controller_epoch = 4;
  auto& states = going.topic_states[0].partition_states;
  states.push_back(states[0]);
  states[0].replicas = states[0].isr = {other};
  states[1].partition_index = p1;
  broker.cache.take(going);
  BOOST_TEST((broker.told(p0) == nullptr));
  BOOST_TEST(broker.hosted(p0)->replicas.empty());
  BOOST_TEST(!broker.hosted(p1)->replicas.empty());  // By request.
  auto deleted = stop(p1, -2, true);
  deleted.controller_epoch = 4;
  broker.cache.take(deleted);
  BOOST_TEST((broker.replicas.image()->topic(orders) == nullptr));
}

BOOST_AUTO_TEST_CASE(replicas_of_a_topic_that_is_not_among_all_there_are_go) {
  Broker broker;
  broker.cache.take(leader_and_isr({lead(p0, self, 5)}));
  UpdateMetadataRequest request = update(self, 5, {self});
  request.broker_epoch = registration.plus(1);
  request.topic_states.clear();
  broker.cache.take(request);
  BOOST_TEST((broker.hosted(p0) != nullptr));
  request.kind = 2;
  broker.cache.take(request);
  BOOST_TEST((broker.hosted(p0) == nullptr));
  BOOST_TEST((broker.replicas.image()->topic(orders) == nullptr));
}

BOOST_AUTO_TEST_CASE(a_topic_that_was_told_of_in_either_way_is_among_all_there_are) {
  Broker broker;
  auto leads = leader_and_isr({lead(p0, self, 5)});
  leads.broker_epoch = registration.plus(1);
  broker.cache.take(leads);
  UpdateMetadataRequest request = update(self, 5, {self});
  request.broker_epoch = registration.plus(1);
  request.topic_states.clear();
  request.kind = 2;
  broker.cache.take(request);
  BOOST_TEST((broker.hosted(p0)->leader == self));
}

BOOST_AUTO_TEST_CASE(a_request_that_comes_before_the_first_registration_is_not_answered) {
  metadata::Publisher cluster;
  metadata::Publisher replicas;
  MetadataCache cache{self, cluster, replicas};
  const Bytes request = encode_newest(leader_and_isr({lead(p0, self, 5)}));
  const auto api = static_cast<std::int16_t>(wire::ApiKey::leader_and_isr);
  const auto early = cache.handle(api, request);
  BOOST_REQUIRE(!early.has_value());
  BOOST_TEST((early.error().code == Errc::closed));
  BOOST_TEST((replicas.image()->partition(orders, p0) == nullptr));
  cache.registered(registration);
  BOOST_TEST(cache.handle(api, request).has_value());
  BOOST_TEST((replicas.image()->partition(orders, p0) != nullptr));
}

BOOST_AUTO_TEST_CASE(configs_count_for_a_topic_that_comes_later_and_for_one_that_is_there) {
  Broker broker;
  broker.cache.set_topic_configs("orders", {{"min.insync.replicas", "2"}});
  broker.cache.take(leader_and_isr({lead(p0, self, 5)}));
  BOOST_TEST(broker.replicas.image()->topic(orders)->configs.at("min.insync.replicas") == "2");
  broker.cache.set_topic_configs("orders", {{"min.insync.replicas", "1"}});
  BOOST_TEST(broker.replicas.image()->topic(orders)->configs.at("min.insync.replicas") == "1");
  BOOST_TEST((broker.hosted(p0)->leader == self));
  broker.cache.set_topic_configs("orders", {});
  BOOST_TEST(broker.replicas.image()->topic(orders)->configs.empty());
}

BOOST_AUTO_TEST_CASE(garbage_is_an_error_of_what_it_names) {
  Broker broker;
  BOOST_TEST(!broker.cache.handle(4, as_view("no request")).has_value());
  BOOST_TEST(!MetadataCache::takes(3));
  auto elsewhere = lead(p0, other, 5);
  elsewhere.replicas = {other};
  BOOST_TEST(
      (only_error(broker.cache.take(leader_and_isr({elsewhere}))) == KafkaError::invalid_request));
  BOOST_TEST((only_error(broker.cache.take(leader_and_isr({lead(PartitionIndex{-1}, self, 5)}))) ==
              KafkaError::invalid_request));
  const auto request = leader_and_isr({lead(p0, self, 5)});
  const auto answer = broker.cache.handle(4, encode_newest(request));
  BOOST_REQUIRE(answer.has_value());
  BOOST_TEST(
      (only_error(decode_newest<wire::LeaderAndIsrResponse>(*answer).value()) == KafkaError::none));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::controller
