#include "wire/kafka/describe_configs.h"

#include <algorithm>

#include "broker/handlers/handlers.h"
#include "controller/config_rules.h"
#include "storage/topic_options.h"

namespace qlab::broker {
namespace {

using wire::DescribeConfigsRequest;
using wire::DescribeConfigsResponse;
using wire::KafkaError;
using Config = DescribeConfigsResponse::Config;
using TopicConfigs = ControlPlane::TopicConfigs;

// DescribeConfigs has no timeout of its own.
constexpr std::int32_t patience_ms = 30'000;

constexpr std::int8_t topic_resource = 2;
constexpr std::int8_t broker_resource = 4;

// Where a value comes from; Kafka's ConfigSource.
constexpr std::int8_t from_topic = 1;
constexpr std::int8_t from_all_brokers = 3;
constexpr std::int8_t from_file = 4;  // Or the default: the file does not say which.

// Every key of a topic with the value that it has when nobody says any at run time.
metadata::Configs topic_defaults(const NodeConfig& config) {
  metadata::Configs defaults;
  for (std::string_view key : storage::topic_option_keys()) {
    defaults[std::string(key)] = storage::topic_option_text(config.replication.log, key);
  }
  defaults[std::string(controller::min_insync_key)] =
      std::to_string(config.replication.min_insync_replicas);
  defaults[std::string(controller::unclean_key)] =
      config.controller.unclean_leader_election ? "true" : "false";
  return defaults;
}

// What clients ask brokers for; --help lists the rest.
metadata::Configs broker_values(const NodeConfig& config) {
  const auto millis = [](Duration duration) {
    return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
  };
  metadata::Configs values;
  values["node.id"] = std::to_string(config.node.value());
  values["num.partitions"] = std::to_string(config.controller.num_partitions);
  values["default.replication.factor"] =
      std::to_string(config.controller.default_replication_factor);
  values["auto.create.topics.enable"] = config.server.auto_create_topics ? "true" : "false";
  values["message.max.bytes"] = std::to_string(config.server.message_bytes_max);
  values["broker.heartbeat.interval.ms"] = millis(config.server.heartbeat_interval);
  values[config.design == "zk" ? "zookeeper.session.timeout.ms" : "broker.session.timeout.ms"] =
      millis(config.controller.session_timeout);
  values["replica.lag.time.max.ms"] = millis(config.replication.lag_max);
  values["min.insync.replicas"] = std::to_string(config.replication.min_insync_replicas);
  values[std::string(controller::unclean_key)] =
      config.controller.unclean_leader_election ? "true" : "false";
  return values;
}

class Description {
 public:
  // `topics` has what the topics that are known have set themselves, or says why it has not.
  Description(const Services& services, const Result<TopicConfigs>& topics,
              const DescribeConfigsRequest::Resource& wanted)
      : image_(services.cluster.image()),
        config_(services.config),
        topics_(topics),
        wanted_(wanted) {}

  DescribeConfigsResponse::Result make() {
    result_.resource_type = wanted_.resource_type;
    result_.resource_name = wanted_.resource_name;
    if (wanted_.resource_type == topic_resource) {
      describe_topic();
    } else if (wanted_.resource_type == broker_resource) {
      describe_broker();
    } else {
      refuse(KafkaError::invalid_request,
             fmt::format("resource type {} is not {} (topic) or {} (broker)",
                         static_cast<int>(wanted_.resource_type), topic_resource, broker_resource));
    }
    return std::move(result_);
  }

 private:
  void refuse(KafkaError error, std::string words) {
    result_.error_code = error;
    result_.error_message = std::move(words);
  }

  void describe_topic() {
    if (!topics_) {
      refuse(controller_error(topics_.error().code), topics_.error().message());
      return;
    }
    const auto topic = topics_->find(wanted_.resource_name);
    if (topic == topics_->end()) {
      refuse(KafkaError::unknown_topic_or_partition,
             fmt::format("topic '{}' does not exist", wanted_.resource_name));
      return;
    }
    for (const auto& [key, value] : topic_defaults(config_)) {
      const auto own = topic->second.find(key);
      if (own != topic->second.end()) {
        put(key, own->second, from_topic, false);
      } else {
        put_of_brokers(key, value, false);
      }
    }
  }

  void describe_broker() {
    const std::string& name = wanted_.resource_name;
    if (name.empty()) {
      for (const auto& [key, value] : image_->broker_configs(no_node)) {
        put(key, value, from_all_brokers, false);
      }
      return;
    }
    if (name != std::to_string(config_.node.value())) {
      refuse(KafkaError::invalid_request,
             fmt::format("broker '{}' is asked for its configs at broker {}", name, config_.node));
      return;
    }
    for (const auto& [key, value] : broker_values(config_)) {
      put_of_brokers(key, value, controller::check_broker_config(key, value).has_value());
    }
  }

  void put_of_brokers(const std::string& key, const std::string& value, bool is_read_only) {
    const metadata::Configs& dynamic = image_->broker_configs(no_node);
    const auto at = dynamic.find(key);
    if (at != dynamic.end()) {
      put(key, at->second, from_all_brokers, is_read_only);
    } else {
      put(key, value, from_file, is_read_only);
    }
  }

  void put(const std::string& key, const std::string& value, std::int8_t source,
           bool is_read_only) {
    const auto& keys = wanted_.configuration_keys;
    if (keys && std::find(keys->begin(), keys->end(), key) == keys->end()) return;
    Config config;
    config.name = key;
    config.value = value;
    config.config_source = source;
    config.read_only = is_read_only;
    result_.configs.push_back(std::move(config));
  }

  const metadata::ImagePtr image_;
  const NodeConfig& config_;
  const Result<TopicConfigs>& topics_;
  const DescribeConfigsRequest::Resource& wanted_;
  DescribeConfigsResponse::Result result_;
};

}  // namespace

Task<Result<Bytes>> handle_describe_configs(Services& services, Request request) {
  CO_TRY(const auto message, decode_body<DescribeConfigsRequest>(request));
  std::vector<std::string> names;
  for (const auto& resource : message.resources) {
    const bool is_topic = resource.resource_type == topic_resource;
    if (is_topic && services.cluster.image()->topic(resource.resource_name) != nullptr) {
      names.push_back(resource.resource_name);
    }
  }
  const Time deadline = client_deadline(services, patience_ms);
  const auto topics = co_await services.plane.topic_configs(std::move(names), deadline);
  DescribeConfigsResponse response;
  for (const auto& resource : message.resources) {
    response.results.push_back(Description(services, topics, resource).make());
  }
  co_return encode_answer(request, response);
}

}  // namespace qlab::broker
