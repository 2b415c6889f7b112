#include <set>

#include "controller/quorum/decisions.h"

namespace qlab::controller {

using metadata::Image;
using wire::KafkaError;

Decision<std::vector<TopicOutcome>> decide_removal(const Image& image,
                                                   const std::vector<std::string>& names) {
  Decision<std::vector<TopicOutcome>> decision;
  std::set<std::string> seen;
  for (const std::string& name : names) {
    TopicOutcome outcome;
    outcome.name = name;
    const metadata::TopicPtr topic = image.topic(name);
    if (topic == nullptr || !seen.insert(name).second) {
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
