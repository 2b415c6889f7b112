#include "controller/topic_rules.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

namespace qlab::controller {
namespace {

constexpr std::size_t name_length_max = 249;

struct ConfigRule {
  std::string_view key;
  std::int64_t least;
  std::int64_t most;
};
constexpr std::array<ConfigRule, 2> config_rules{{
    {"min.insync.replicas", 1, 1000},
    {"segment.bytes", 1 << 20, 1 << 30},
}};

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

}  // namespace

std::optional<Refusal> check_topic_name(std::string_view name) {
  const bool fits = !name.empty() && name.size() <= name_length_max && name != "." &&
                    name != ".." && std::all_of(name.begin(), name.end(), is_name_character);
  if (fits) return std::nullopt;
  return Refusal{wire::KafkaError::invalid_topic_exception,
                 fmt::format("topic name '{}' is not 1 to {} characters of [a-zA-Z0-9._-]",
                             name.substr(0, name_length_max), name_length_max)};
}

std::optional<Refusal> check_topic_config(std::string_view key,
                                          const std::optional<std::string>& value) {
  const auto rule = std::find_if(config_rules.begin(), config_rules.end(),
                                 [&](const ConfigRule& r) { return r.key == key; });
  if (rule == config_rules.end()) {
    return Refusal{wire::KafkaError::invalid_config,
                   fmt::format("topic config '{}' is not supported; min.insync.replicas and "
                               "segment.bytes are",
                               key)};
  }
  std::int64_t number = 0;
  const std::string text = value.value_or("");
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size();
  if (whole && number >= rule->least && number <= rule->most) return std::nullopt;
  return Refusal{wire::KafkaError::invalid_config,
                 fmt::format("topic config {}={} is not a number in [{}, {}]", key, text,
                             rule->least, rule->most)};
}

std::optional<Refusal> check_assignment(const std::vector<std::vector<NodeId>>& assignment,
                                        const std::function<bool(NodeId)>& known) {
  const auto refuse = [](std::string words) {
    return Refusal{wire::KafkaError::invalid_replica_assignment, std::move(words)};
  };
  for (std::size_t p = 0; p < assignment.size(); ++p) {
    const std::vector<NodeId>& replicas = assignment[p];
    if (replicas.empty()) return refuse(fmt::format("partition {} has no replicas", p));
    if (replicas.size() != assignment.front().size()) {
      return refuse(fmt::format("partition {} has {} replicas, partition 0 has {}", p,
                                replicas.size(), assignment.front().size()));
    }
    if (std::set<NodeId>(replicas.begin(), replicas.end()).size() != replicas.size()) {
      return refuse(fmt::format("partition {} names a broker twice", p));
    }
    for (NodeId replica : replicas) {
      if (!known(replica))
        return refuse(fmt::format("partition {}: broker {} is unknown", p, replica));
    }
  }
  return std::nullopt;
}

}  // namespace qlab::controller
