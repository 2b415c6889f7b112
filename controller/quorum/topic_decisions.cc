#include <map>
#include <string_view>
#include <utility>

#include "controller/quorum/decisions.h"

namespace qlab::controller {

using metadata::Image;
using wire::KafkaError;

Decision<std::vector<TopicOutcome>> decide_removal(const Image& image,
                                                   const std::vector<std::string>& names) {
  Decision<std::vector<TopicOutcome>> decision;
  std::map<std::string_view, int> times;
  for (const std::string& name : names) ++times[name];
  for (const std::string& name : names) {
    TopicOutcome outcome;
    outcome.name = name;
    const int named = std::exchange(times[name], 0);
    if (named == 0) continue;  // It was answered.
    const metadata::TopicPtr topic = image.topic(name);
    if (named > 1) {
      outcome.error = KafkaError::invalid_request;
      outcome.message = fmt::format("topic '{}' is named {} times in one request", name, named);
    } else if (topic == nullptr) {
      outcome.error = KafkaError::unknown_topic_or_partition;
      outcome.message = fmt::format("topic '{}' does not exist", name);
    } else {
      outcome.id = topic->id;
      metadata::RemoveTopicRecord record;
      record.topic_id = topic->id;
      decision.records.emplace_back(record);
    }
    decision.answer.push_back(std::move(outcome));
  }
  return decision;
}

metadata::Records decide_cleanup(const Image& image) {
  metadata::Records records;
  for (const auto& [id, topic] : image.forming()) {
    metadata::RemoveTopicRecord record;
    record.topic_id = id;
    records.emplace_back(record);
  }
  return records;
}

}  // namespace qlab::controller
