#pragma once
// What a new topic may look like: its name, its size, its configs. Pure checks that both
// controllers share.

#include <string>
#include <string_view>

#include "common/result.h"
#include "controller/controller.h"

namespace qlab::controller {

// Why a topic is refused: the error for the client and a sentence for people.
struct Refusal {
  wire::KafkaError error = wire::KafkaError::none;
  std::string message;
};

// Kafka's rule: 1 to 249 characters of [a-zA-Z0-9._-], and neither "." nor "..".
std::optional<Refusal> check_topic_name(std::string_view name);

// Only keys that change something here, each within its bounds: min.insync.replicas,
// unclean.leader.election.enable, and those that say something about a log
// (storage/topic_options.h).
std::optional<Refusal> check_topic_config(std::string_view key,
                                          const std::optional<std::string>& value);

// A client's own assignment: every partition 0..n-1 with the same number of distinct, known
// brokers.
std::optional<Refusal> check_assignment(const std::vector<std::vector<NodeId>>& assignment,
                                        const std::function<bool(NodeId)>& known);

}  // namespace qlab::controller
