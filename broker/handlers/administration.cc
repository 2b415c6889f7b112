// What administrators ask of the controller, passed on in the protocol's own messages.

#include "broker/handlers/handlers.h"
#include "controller/administer.h"
#include "wire/kafka/alter_configs.h"
#include "wire/kafka/alter_partition_reassignments.h"
#include "wire/kafka/create_partitions.h"
#include "wire/kafka/elect_leaders.h"
#include "wire/kafka/incremental_alter_configs.h"
#include "wire/kafka/list_partition_reassignments.h"

namespace qlab::broker {
namespace {

using wire::ApiKey;
using wire::KafkaError;

// AlterConfigs has no timeout of its own.
constexpr std::int32_t config_patience_ms = 30'000;

// What the controller says, or `failed` of the error and its words when it says nothing.
template <class Response, class Message, class Failed>
Task<Response> pass_on(Services& services, ApiKey api, Message message, Time deadline,
                       Failed failed) {
  auto response = co_await controller::administer<Response>(services.controller, api,
                                                            std::move(message), deadline);
  if (response) co_return std::move(*response);
  co_return failed(controller_error(response.error().code), response.error().message());
}

template <class Response, class Message>
Response failed_resources(const Message& message, KafkaError error, const std::string& words) {
  Response response;
  for (const auto& resource : message.resources) {
    typename Response::Resource answer;
    answer.error_code = error;
    answer.error_message = words;
    answer.resource_type = resource.resource_type;
    answer.resource_name = resource.resource_name;
    response.responses.push_back(std::move(answer));
  }
  return response;
}

template <class Response, class Message>
Task<Result<Bytes>> alter_configs(Services& services, Request request, ApiKey api) {
  CO_TRY(const auto message, decode_body<Message>(request));
  const auto failed = [&message](KafkaError error, const std::string& words) {
    return failed_resources<Response>(message, error, words);
  };
  const Time deadline = client_deadline(services, config_patience_ms);
  const Response response =
      co_await pass_on<Response, Message>(services, api, message, deadline, failed);
  co_return encode_answer(request, response);
}

// Whoever is told that a topic has grown asks this node for it next.
Task<void> wait_for_growth(Services& services, std::string name, std::int32_t count,
                           Time deadline) {
  const ClusterView::Holds has_grown = [name = std::move(name),
                                        count](const metadata::Image& image) {
    const metadata::TopicPtr topic = image.topic(name);
    return topic == nullptr || std::ssize(topic->partitions) >= count;
  };
  co_await services.cluster.wait_for(has_grown, deadline);
}

// Whoever is told of new leaders asks this node for them next, as Kafka's DelayedElectLeader has
// it. Those that are not known here in time have timed out.
Task<wire::ElectLeadersResponse> wait_for_leaders(Services& services,
                                                  wire::ElectLeadersResponse response,
                                                  bool preferred, Time deadline) {
  for (auto& topic : response.replica_election_results) {
    for (auto& partition : topic.partition_result) {
      if (partition.error_code != KafkaError::none) continue;
      const auto index = static_cast<std::size_t>(partition.partition_id.value());
      const ClusterView::Holds has_leader = [name = topic.topic, index,
                                             preferred](const metadata::Image& image) {
        const metadata::TopicPtr found = image.topic(name);
        if (found == nullptr || index >= found->partitions.size()) return true;  // It is gone.
        const metadata::Partition& now = *found->partitions[index];
        return preferred ? now.leader == now.replicas.front() : now.leader != no_node;
      };
      const bool is_known = co_await services.cluster.wait_for(has_leader, deadline);
      if (is_known) continue;
      partition.error_code = KafkaError::request_timed_out;
      partition.error_message = "a leader was elected, but this broker has not heard of it yet";
    }
  }
  co_return response;
}

}  // namespace

Task<Result<Bytes>> handle_elect_leaders(Services& services, Request request) {
  CO_TRY(const auto message, decode_body<wire::ElectLeadersRequest>(request));
  const auto failed = [&message](KafkaError error, const std::string& words) {
    wire::ElectLeadersResponse response;
    response.error_code = error;
    // Version 0 has no error of the whole.
    if (!message.topic_partitions) return response;
    for (const auto& topic : *message.topic_partitions) {
      wire::ElectLeadersResponse::Topic answer;
      answer.topic = topic.topic;
      for (PartitionIndex index : topic.partitions) {
        answer.partition_result.push_back({index, error, words});
      }
      response.replica_election_results.push_back(std::move(answer));
    }
    return response;
  };
  const Time deadline = client_deadline(services, message.timeout_ms);
  auto response = co_await pass_on<wire::ElectLeadersResponse>(services, ApiKey::elect_leaders,
                                                               message, deadline, failed);
  const bool preferred = message.election_type == 0;
  const auto known = co_await wait_for_leaders(services, std::move(response), preferred, deadline);
  co_return encode_answer(request, known);
}

Task<Result<Bytes>> handle_alter_partition_reassignments(Services& services, Request request) {
  using Response = wire::AlterPartitionReassignmentsResponse;
  CO_TRY(const auto message, decode_body<wire::AlterPartitionReassignmentsRequest>(request));
  const auto failed = [](KafkaError error, const std::string& words) {
    Response response;
    response.error_code = error;
    response.error_message = words;
    return response;
  };
  const Time deadline = client_deadline(services, message.timeout_ms);
  const auto response = co_await pass_on<Response>(services, ApiKey::alter_partition_reassignments,
                                                   message, deadline, failed);
  co_return encode_answer(request, response);
}

Task<Result<Bytes>> handle_list_partition_reassignments(Services& services, Request request) {
  using Response = wire::ListPartitionReassignmentsResponse;
  CO_TRY(const auto message, decode_body<wire::ListPartitionReassignmentsRequest>(request));
  const auto failed = [](KafkaError error, const std::string& words) {
    Response response;
    response.error_code = error;
    response.error_message = words;
    return response;
  };
  const Time deadline = client_deadline(services, message.timeout_ms);
  const auto response = co_await pass_on<Response>(services, ApiKey::list_partition_reassignments,
                                                   message, deadline, failed);
  co_return encode_answer(request, response);
}

Task<Result<Bytes>> handle_create_partitions(Services& services, Request request) {
  using Response = wire::CreatePartitionsResponse;
  CO_TRY(const auto message, decode_body<wire::CreatePartitionsRequest>(request));
  const auto failed = [&message](KafkaError error, const std::string& words) {
    Response response;
    for (const auto& topic : message.topics) {
      response.results.push_back({topic.name, error, words});
    }
    return response;
  };
  const Time deadline = client_deadline(services, message.timeout_ms);
  const auto response =
      co_await pass_on<Response>(services, ApiKey::create_partitions, message, deadline, failed);
  if (!message.validate_only) {
    for (std::size_t t = 0; t < std::min(response.results.size(), message.topics.size()); ++t) {
      if (response.results[t].error_code != KafkaError::none) continue;
      const auto& topic = message.topics[t];
      co_await wait_for_growth(services, topic.name, topic.count, deadline);
    }
  }
  co_return encode_answer(request, response);
}

Task<Result<Bytes>> handle_alter_configs(Services& services, Request request) {
  co_return co_await alter_configs<wire::AlterConfigsResponse, wire::AlterConfigsRequest>(
      services, std::move(request), ApiKey::alter_configs);
}

Task<Result<Bytes>> handle_incremental_alter_configs(Services& services, Request request) {
  co_return co_await alter_configs<wire::IncrementalAlterConfigsResponse,
                                   wire::IncrementalAlterConfigsRequest>(
      services, std::move(request), ApiKey::incremental_alter_configs);
}

}  // namespace qlab::broker
