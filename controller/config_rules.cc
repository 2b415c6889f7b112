#include "controller/config_rules.h"

#include <algorithm>
#include <charconv>
#include <set>

namespace qlab::controller {
namespace {

constexpr std::string_view list_key = "cleanup.policy";

Refusal refuse(wire::KafkaError error, std::string words) {
  return {error, std::move(words)};
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    if (comma > 0) parts.emplace_back(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return parts;
}

std::string edited_list(std::string_view before, const ConfigEdit& edit) {
  std::vector<std::string> parts = split(before);
  for (const std::string& part : split(edit.value.value_or(""))) {
    std::erase(parts, part);
    if (edit.operation == ConfigOperation::append) parts.push_back(part);
  }
  return fmt::format("{}", fmt::join(parts, ","));
}

// The value that counts for a topic; null when nobody says any.
const std::string* value_of(const metadata::Image& image, const metadata::Topic& topic,
                            std::string_view key) {
  for (const metadata::Configs* configs : {&topic.configs, &image.broker_configs(no_node)}) {
    const auto at = configs->find(std::string(key));
    if (at != configs->end()) return &at->second;
  }
  return nullptr;
}

}  // namespace

std::optional<Refusal> check_broker_config(std::string_view key,
                                           const std::optional<std::string>& value) {
  if (key == min_insync_key || key == unclean_key) return check_topic_config(key, value);
  return refuse(wire::KafkaError::invalid_config,
                fmt::format("broker config '{}' cannot be changed while brokers run; {} and {} can",
                            key, min_insync_key, unclean_key));
}

tl::expected<metadata::Configs, Refusal> edited(metadata::Configs own,
                                                const std::vector<ConfigEdit>& edits,
                                                ConfigCheck check) {
  std::set<std::string> seen;
  for (const ConfigEdit& edit : edits) {
    if (!seen.insert(edit.key).second) {
      return tl::unexpected(refuse(wire::KafkaError::invalid_request,
                                   fmt::format("config '{}' is named twice", edit.key)));
    }
    std::optional<std::string> value = edit.value;
    switch (edit.operation) {
      case ConfigOperation::remove:
        own.erase(edit.key);
        continue;
      case ConfigOperation::set:
        break;
      case ConfigOperation::append:
      case ConfigOperation::subtract: {
        if (edit.key != list_key) {
          return tl::unexpected(refuse(wire::KafkaError::invalid_config,
                                       fmt::format("config '{}' is no list", edit.key)));
        }
        const auto before = own.find(edit.key);
        value = edited_list(before == own.end() ? "delete" : before->second, edit);
        break;
      }
      default:
        return tl::unexpected(
            refuse(wire::KafkaError::invalid_request,
                   fmt::format("operation {} on config '{}' is not 0 (set) to 3 (subtract)",
                               static_cast<int>(edit.operation), edit.key)));
    }
    if (auto wrong = check(edit.key, value)) return tl::unexpected(*wrong);
    own[edit.key] = value.value_or("");
  }
  return own;
}

std::size_t min_insync_of(const metadata::Image& image, const metadata::Topic& topic,
                          const ControllerOptions& options) {
  auto number = static_cast<std::size_t>(options.min_insync_replicas);
  if (const std::string* text = value_of(image, topic, min_insync_key)) {
    std::from_chars(text->data(), text->data() + text->size(), number);  // Checked when it was set.
  }
  return number;
}

bool elects_uncleanly(const metadata::Image& image, const metadata::Topic& topic,
                      const ControllerOptions& options) {
  const std::string* text = value_of(image, topic, unclean_key);
  return text != nullptr ? *text == "true" : options.unclean_leader_election;
}

ElectionRules rules_of(const metadata::Image& image, const metadata::Topic& topic,
                       const ControllerOptions& options) {
  ElectionRules rules;
  rules.eligible = [&image](NodeId node) { return image.is_active(node); };
  rules.min_insync = min_insync_of(image, topic, options);
  rules.unclean = elects_uncleanly(image, topic, options);
  return rules;
}

}  // namespace qlab::controller
