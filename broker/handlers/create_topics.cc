#include "wire/kafka/create_topics.h"

#include "broker/handlers/handlers.h"

namespace qlab::broker {
namespace {

using wire::CreateTopicsRequest;
using wire::CreateTopicsResponse;
using wire::KafkaError;

// A client's assignment by partition index. Errors: invalid, when an index is missing or twice.
Result<std::vector<std::vector<NodeId>>> assignment_of(const CreateTopicsRequest::Topic& topic) {
  std::vector<std::vector<NodeId>> assignment(topic.assignments.size());
  for (const auto& given : topic.assignments) {
    const auto index = static_cast<std::size_t>(given.partition_index.value());
    if (given.partition_index.value() < 0 || index >= assignment.size() ||
        !assignment[index].empty() || given.broker_ids.empty()) {
      return fail(Errc::invalid, "partition {} does not fit: indexes are 0 to {}, each once",
                  given.partition_index, assignment.size() - 1);
    }
    assignment[index] = given.broker_ids;
  }
  return assignment;
}

Result<controller::NewTopic> new_topic(const CreateTopicsRequest::Topic& topic) {
  controller::NewTopic result;
  result.name = topic.name;
  result.partitions = topic.num_partitions;
  result.replication_factor = topic.replication_factor;
  TRY(result.assignment, assignment_of(topic));
  for (const auto& config : topic.configs) result.configs.emplace_back(config.name, config.value);
  return result;
}

CreateTopicsResponse::Topic refused(std::string name, KafkaError error, std::string words) {
  CreateTopicsResponse::Topic answer;
  answer.name = std::move(name);
  answer.error_code = error;
  answer.error_message = std::move(words);
  return answer;
}

CreateTopicsResponse::Topic made(const controller::TopicOutcome& outcome) {
  CreateTopicsResponse::Topic answer;
  answer.name = outcome.name;
  answer.topic_id = outcome.id;
  answer.num_partitions = outcome.partitions;
  answer.replication_factor = outcome.replication_factor;
  answer.configs.emplace();
  return answer;
}

// Decided is not enough: whoever is told so asks this node for the topic next.
Task<CreateTopicsResponse::Topic> answer_for(Services& services, controller::TopicOutcome outcome,
                                             bool validate_only, Time deadline) {
  if (outcome.error != KafkaError::none) {
    co_return refused(outcome.name, outcome.error, outcome.message);
  }
  if (validate_only) co_return made(outcome);
  const auto count = static_cast<std::size_t>(outcome.partitions);
  const ClusterView::Holds is_known = [id = outcome.id, count](const metadata::Image& image) {
    const metadata::TopicPtr topic = image.topic(id);
    return topic != nullptr && topic->partitions.size() >= count;
  };
  const bool is_here = co_await services.cluster.wait_for(is_known, deadline);
  if (is_here) co_return made(outcome);
  co_return refused(outcome.name, KafkaError::request_timed_out,
                    "the topic was made, but is not known to this broker yet");
}

}  // namespace

Task<Result<Bytes>> handle_create_topics(Services& services, Request request) {
  CO_TRY(const auto message, decode_body<CreateTopicsRequest>(request));
  const Time deadline = client_deadline(services, message.timeout_ms);
  CreateTopicsResponse response;
  std::vector<controller::NewTopic> topics;
  for (const auto& topic : message.topics) {
    auto wanted = new_topic(topic);
    if (wanted) {
      topics.push_back(std::move(*wanted));
    } else {
      response.topics.push_back(
          refused(topic.name, KafkaError::invalid_replica_assignment, wanted.error().context));
    }
  }
  if (topics.empty()) co_return encode_answer(request, response);

  const auto outcomes =
      co_await services.controller.create_topics(topics, message.validate_only, deadline);
  if (!outcomes) {
    for (const auto& topic : topics) {
      response.topics.push_back(
          refused(topic.name, controller_error(outcomes.error().code), outcomes.error().message()));
    }
    co_return encode_answer(request, response);
  }
  for (const controller::TopicOutcome& outcome : *outcomes) {
    response.topics.push_back(
        co_await answer_for(services, outcome, message.validate_only, deadline));
  }
  co_return encode_answer(request, response);
}

}  // namespace qlab::broker
