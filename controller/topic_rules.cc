#include "controller/topic_rules.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "storage/topic_options.h"

namespace qlab::controller {
namespace {

constexpr std::size_t name_length_max = 249;

constexpr std::string_view insync_key = "min.insync.replicas";
constexpr std::int64_t insync_max = 1000;
constexpr std::string_view unclean_key = "unclean.leader.election.enable";

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
  const std::string text = value.value_or("");
  const auto refuse = [](std::string words) {
    return Refusal{wire::KafkaError::invalid_config, "topic config " + std::move(words)};
  };
  if (key == insync_key) {
    std::int64_t number = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool whole = parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size();
    if (whole && number >= 1 && number <= insync_max) return std::nullopt;
    return refuse(fmt::format("{}={} is not a number in [1, {}]", key, text, insync_max));
  }
  if (key == unclean_key) {
    if (text == "true" || text == "false") return std::nullopt;
    return refuse(fmt::format("{}={} is neither true nor false", key, text));
  }
  storage::LogOptions options;
  const Result<void> set = storage::set_topic_option(options, key, text);
  if (set) return std::nullopt;
  if (set.error().code == Errc::invalid) return refuse(set.error().context);
  return refuse(fmt::format("'{}' is not supported; {}, {} and {} are", key, insync_key,
                            unclean_key, fmt::join(storage::topic_option_keys(), ", ")));
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
