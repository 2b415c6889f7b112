#include "controller/zk/control_requests.h"

#include <boost/test/unit_test.hpp>

#include "controller/administer.h"
#include "runtime/simulated/run.h"
#include "wire/kafka/stop_replica.h"

namespace qlab::controller {
namespace {

constexpr NodeId self{1};
constexpr BrokerEpoch registration{40};
constexpr PartitionIndex first{0};
const TopicId orders{Uuid{7, 1}};

// A broker that learns of a topic's configs when the keeper answers.
struct Bench {
  runtime::SimulatedWorld world{1};
  metadata::Publisher cluster;
  metadata::Publisher replicas;
  MetadataCache cache{self, cluster, replicas};
  runtime::Event keeper_answers{world.node(self)};
  bool has_answered = false;
  ControlRequests requests{world.node(self), cache, [this](auto) { return prepare(); }};

  Bench() { cache.registered(registration); }

  Task<void> prepare() {
    while (!has_answered) co_await keeper_answers.wait();
  }
  template <class Request>
  auto begin(wire::ApiKey api, const Request& request) {
    auto task = requests.take(static_cast<std::int16_t>(api), encode_newest(request));
    return runtime::begin(world, self, std::move(task));
  }
};

wire::LeaderAndIsrRequest lead() {
  wire::LeaderAndIsrRequest request;
  request.controller_epoch = 3;
  request.broker_epoch = registration;
  auto& topic = request.topic_states.emplace_back();
  topic.topic_name = "orders";
  topic.topic_id = orders;
  auto& state = topic.partition_states.emplace_back();
  state.partition_index = first;
  state.leader = self;
  state.replicas = {self};
  state.isr = {self};
  return request;
}

wire::StopReplicaRequest remove() {
  wire::StopReplicaRequest request;
  request.controller_epoch = 3;
  request.broker_epoch = registration;
  auto& topic = request.topic_states.emplace_back();
  topic.topic_name = "orders";
  auto& state = topic.partition_states.emplace_back();
  state.partition_index = first;
  state.leader_epoch = LeaderEpoch{-2};
  state.delete_partition = true;
  return request;
}

BOOST_AUTO_TEST_SUITE(control_requests)

BOOST_AUTO_TEST_CASE(a_request_that_waits_for_configs_does_not_go_on_after_what_came_later) {
  Bench bench;
  const auto led = bench.begin(wire::ApiKey::leader_and_isr, lead());
  const auto removed = bench.begin(wire::ApiKey::stop_replica, remove());
  bench.world.run_for(std::chrono::seconds(1));
  BOOST_TEST(!removed->value.has_value());
  bench.has_answered = true;
  bench.keeper_answers.notify_all();
  bench.world.run_for(Duration{});
  BOOST_REQUIRE((led->value.has_value() && removed->value.has_value()));
  BOOST_TEST((led->value->has_value() && removed->value->has_value()));
  BOOST_TEST((bench.replicas.image()->topic("orders") == nullptr));
}

BOOST_AUTO_TEST_CASE(garbage_is_an_error_and_those_behind_it_are_taken) {
  Bench bench;
  bench.has_answered = true;
  auto task = bench.requests.take(static_cast<std::int16_t>(wire::ApiKey::leader_and_isr), {});
  const auto refused = runtime::begin(bench.world, self, std::move(task));
  const auto led = bench.begin(wire::ApiKey::leader_and_isr, lead());
  bench.world.run_for(Duration{});
  BOOST_REQUIRE((refused->value.has_value() && led->value.has_value()));
  BOOST_TEST(!refused->value->has_value());
  BOOST_TEST((bench.replicas.image()->partition(orders, first) != nullptr));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace qlab::controller
