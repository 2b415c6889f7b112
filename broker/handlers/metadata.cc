#include "wire/kafka/metadata.h"

#include <algorithm>

#include "broker/handlers/handlers.h"

namespace qlab::broker {
namespace {

using wire::KafkaError;
using wire::MetadataRequest;
using wire::MetadataResponse;

MetadataResponse::Partition describe(const metadata::Image& image,
                                     const metadata::Partition& partition, PartitionIndex index) {
  MetadataResponse::Partition answer;
  answer.partition_index = index;
  answer.leader_id = partition.leader;
  answer.leader_epoch = partition.leader_epoch;
  answer.replica_nodes = partition.replicas;
  answer.isr_nodes = partition.isr;
  for (const NodeId replica : partition.replicas) {
    if (!image.is_active(replica)) answer.offline_replicas.push_back(replica);
  }
  if (partition.leader == no_node || !image.is_active(partition.leader)) {
    answer.error_code = KafkaError::leader_not_available;
    answer.leader_id = no_node;
  }
  return answer;
}

MetadataResponse::Topic describe(const metadata::Image& image, const metadata::Topic& topic) {
  MetadataResponse::Topic answer;
  answer.name = topic.name;
  answer.topic_id = topic.id;
  for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
    const PartitionIndex index{static_cast<std::int32_t>(i)};
    const metadata::Partition& partition = *topic.partitions[i];
    if (partition.replicas.empty()) continue;  // Nobody has told of it yet (metadata/editor.h).
    answer.partitions.push_back(describe(image, partition, index));
  }
  return answer;
}

// Makes the topics that are not there, and waits until this node knows of them. Returns why one
// could not be made, by name.
Task<std::map<std::string, KafkaError>> create_missing(Services& services,
                                                       std::vector<std::string> names) {
  constexpr std::int32_t patience_ms = 5000;
  std::map<std::string, KafkaError> errors;
  std::vector<controller::NewTopic> missing;
  for (std::string& name : names) {
    if (services.cluster.image()->topic(name) != nullptr || errors.contains(name)) continue;
    errors[name] = KafkaError::leader_not_available;
    controller::NewTopic topic;
    topic.name = std::move(name);
    missing.push_back(std::move(topic));
  }
  if (missing.empty()) co_return errors;
  const Time deadline = client_deadline(services, patience_ms);
  const auto outcomes =
      co_await services.controller.create_topics(std::move(missing), false, deadline);
  if (!outcomes) co_return errors;
  for (const controller::TopicOutcome& outcome : *outcomes) {
    const bool is_there =
        outcome.error == KafkaError::none || outcome.error == KafkaError::topic_already_exists;
    if (!is_there) {
      errors[outcome.name] = outcome.error;
      continue;
    }
    const ClusterView::Holds is_known = [name = outcome.name](const metadata::Image& image) {
      return image.topic(name) != nullptr;
    };
    co_await services.cluster.wait_for(is_known, deadline);
  }
  co_return errors;
}

std::vector<std::string> names_of(const MetadataRequest& message) {
  std::vector<std::string> names;
  for (const auto& topic : *message.topics) {
    if (topic.name) names.push_back(*topic.name);
  }
  return names;
}

}  // namespace

Task<Result<Bytes>> handle_metadata(Services& services, Request request) {
  CO_TRY(const auto message, decode_body<MetadataRequest>(request));
  const std::int16_t version = request.header.api_version;
  const bool is_all = !message.topics || (version == 0 && message.topics->empty());

  std::map<std::string, KafkaError> errors;
  if (!is_all && message.allow_auto_topic_creation && services.config.server.auto_create_topics) {
    errors = co_await create_missing(services, names_of(message));
  }

  const metadata::ImagePtr image = services.cluster.image();
  MetadataResponse response;
  response.cluster_id = services.config.cluster_id;
  response.controller_id = controller_for_clients(services);
  for (const auto& [id, broker] : image->brokers()) {
    if (!broker.is_active()) continue;
    response.brokers.push_back({id, broker.host, broker.port, rack_of(broker)});
  }
  if (is_all) {
    image->topics().for_each([&](const std::string&, const metadata::TopicPtr& topic) {
      response.topics.push_back(describe(*image, *topic));
    });
    co_return encode_answer(request, response);
  }
  for (const auto& wanted : *message.topics) {
    const metadata::TopicPtr topic =
        wanted.name ? image->topic(*wanted.name) : image->topic(wanted.topic_id);
    if (topic != nullptr) {
      response.topics.push_back(describe(*image, *topic));
      continue;
    }
    MetadataResponse::Topic unknown;
    unknown.name = wanted.name;
    if (!wanted.name && version < 12) unknown.name = "";
    unknown.topic_id = wanted.topic_id;
    unknown.error_code =
        wanted.name ? KafkaError::unknown_topic_or_partition : KafkaError::unknown_topic_id;
    if (wanted.name && errors.contains(*wanted.name)) unknown.error_code = errors[*wanted.name];
    response.topics.push_back(std::move(unknown));
  }
  co_return encode_answer(request, response);
}

}  // namespace qlab::broker
