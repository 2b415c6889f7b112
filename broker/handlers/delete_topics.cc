#include "wire/kafka/delete_topics.h"

#include "broker/handlers/handlers.h"

namespace qlab::broker {
namespace {

using wire::DeleteTopicsRequest;
using wire::DeleteTopicsResponse;
using wire::KafkaError;

DeleteTopicsResponse::Topic answer_of(std::optional<std::string> name, KafkaError error,
                                      std::string words) {
  DeleteTopicsResponse::Topic answer;
  answer.name = std::move(name);
  answer.error_code = error;
  if (error != KafkaError::none) answer.error_message = std::move(words);
  return answer;
}

// The names that are meant; what has none is answered at once.
std::vector<std::string> names_of(const metadata::Image& image, const DeleteTopicsRequest& message,
                                  DeleteTopicsResponse& response) {
  std::vector<std::string> names = message.topic_names;
  for (const auto& topic : message.topics) {
    if (topic.name) {
      names.push_back(*topic.name);
    } else if (const metadata::TopicPtr found = image.topic(topic.topic_id)) {
      names.push_back(found->name);
    } else {
      auto unknown = answer_of(std::nullopt, KafkaError::unknown_topic_id, "no topic has this id");
      unknown.topic_id = topic.topic_id;
      response.responses.push_back(std::move(unknown));
    }
  }
  return names;
}

}  // namespace

Task<Result<Bytes>> handle_delete_topics(Services& services, Request request) {
  CO_TRY(const auto message, decode_body<DeleteTopicsRequest>(request));
  const Time deadline = client_deadline(services, message.timeout_ms);
  DeleteTopicsResponse response;
  const auto names = names_of(*services.cluster.image(), message, response);
  if (names.empty()) co_return encode_answer(request, response);

  const auto outcomes = co_await services.controller.delete_topics(names, deadline);
  if (!outcomes) {
    for (const std::string& name : names) {
      response.responses.push_back(
          answer_of(name, controller_error(outcomes.error().code), outcomes.error().message()));
    }
    co_return encode_answer(request, response);
  }
  for (const controller::TopicOutcome& outcome : *outcomes) {
    auto answer = answer_of(outcome.name, outcome.error, outcome.message);
    answer.topic_id = outcome.id;
    const ClusterView::Holds is_gone = [id = outcome.id](const metadata::Image& image) {
      return image.topic(id) == nullptr;
    };
    const bool is_gone_here = co_await services.cluster.wait_for(is_gone, deadline);
    if (!is_gone_here) {
      answer.error_code = KafkaError::request_timed_out;
      answer.error_message = "the topic was deleted, but this broker has not heard of it yet";
    }
    response.responses.push_back(std::move(answer));
  }
  co_return encode_answer(request, response);
}

}  // namespace qlab::broker
