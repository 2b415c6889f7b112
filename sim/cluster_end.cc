#include "sim/cluster_end.h"

#include <algorithm>
#include <functional>

#include <fmt/ranges.h>

namespace qlab::sim {
namespace {

using Visit = std::function<Finding(const std::string& name, const TopicFate& fate,
                                    const metadata::Topic& topic)>;

Finding first_of_kept_topics(const ClusterHistory& history, const metadata::Image& image,
                             const Visit& visit) {
  for (const auto& [name, fate] : history.topics) {
    if (!fate.is_created || fate.is_deletion_asked) continue;
    const metadata::TopicPtr topic = image.topic(name);
    if (topic == nullptr) return fmt::format("topic {} was created, and is not there", name);
    if (auto finding = visit(name, fate, *topic)) return finding;
  }
  return std::nullopt;
}

bool has_replica(const metadata::Topic& topic, NodeId node) {
  for (std::size_t p = 0; p < topic.partitions.size(); ++p) {
    const auto& replicas = topic.partitions[p]->replicas;
    if (std::find(replicas.begin(), replicas.end(), node) != replicas.end()) return true;
  }
  return false;
}

}  // namespace

Finding topics_have_their_partitions(const ClusterHistory& history, const metadata::Image& image) {
  return first_of_kept_topics(
      history, image,
      [](const std::string& name, const TopicFate& fate, const metadata::Topic& topic) -> Finding {
        if (std::ssize(topic.partitions) >= fate.partitions) return std::nullopt;
        return fmt::format("topic {} has {} partitions, and {} were acknowledged", name,
                           topic.partitions.size(), fate.partitions);
      });
}

Finding moves_end_where_they_were_to(const ClusterHistory& history, const metadata::Image& image) {
  return first_of_kept_topics(
      history, image,
      [](const std::string& name, const TopicFate& fate, const metadata::Topic& topic) -> Finding {
        for (const auto& [index, moves] : fate.moves) {
          const auto position = static_cast<std::size_t>(index.value());
          if (position >= topic.partitions.size()) continue;
          const auto& replicas = topic.partitions[position]->replicas;
          const auto candidates = moves.candidates();
          const bool is_one = std::any_of(
              candidates.begin(), candidates.end(),
              [&replicas](const auto& candidate) { return !candidate || *candidate == replicas; });
          if (is_one) continue;
          return fmt::format("{}-{} has the replicas {}, and was to have {}", name, index,
                             fmt::join(replicas, "+"), fmt::join(*candidates.back(), "+"));
        }
        return std::nullopt;
      });
}

Finding configs_are_as_acknowledged(const ClusterHistory& history, const metadata::Image& image,
                                    NodeId node) {
  return first_of_kept_topics(
      history, image,
      [node](const std::string& name, const TopicFate& fate,
             const metadata::Topic& topic) -> Finding {
        if (node != no_node && !has_replica(topic, node)) return std::nullopt;
        for (const auto& [key, writes] : fate.configs) {
          const auto at = topic.configs.find(key);
          std::optional<std::string> value;
          if (at != topic.configs.end()) value = at->second;
          const auto candidates = writes.candidates();
          if (std::find(candidates.begin(), candidates.end(), value) != candidates.end()) continue;
          return fmt::format("topic {} has {}={}, and {} was acknowledged", name, key,
                             value.value_or("(nothing)"), candidates.back().value_or("(nothing)"));
        }
        return std::nullopt;
      });
}

Finding judge_end(const ClusterHistory& history, const metadata::Image& image, NodeId node) {
  if (auto finding = topics_have_their_partitions(history, image))
    return "topics_have_their_partitions: " + *finding;
  if (auto finding = moves_end_where_they_were_to(history, image))
    return "moves_end_where_they_were_to: " + *finding;
  if (auto finding = configs_are_as_acknowledged(history, image, node))
    return "configs_are_as_acknowledged: " + *finding;
  return std::nullopt;
}

}  // namespace qlab::sim
