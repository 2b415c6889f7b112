#pragma once
// Which configs topics and brokers may have of their own, and what a change makes of them: pure
// rules that both controllers share.
//
// Source: KIP-226 (dynamic configs of brokers), KIP-339 (changes key by key).

#include <tl/expected.hpp>

#include "controller/election.h"
#include "controller/options.h"
#include "controller/topic_rules.h"

namespace qlab::controller {

inline constexpr std::string_view min_insync_key = "min.insync.replicas";
inline constexpr std::string_view unclean_key = "unclean.leader.election.enable";

// Keys that brokers may be told while they run: of all brokers, for both say something of topics
// that do not say it themselves.
std::optional<Refusal> check_broker_config(std::string_view key,
                                           const std::optional<std::string>& value);

enum class ConfigOperation : std::int8_t { set = 0, remove = 1, append = 2, subtract = 3 };
struct ConfigEdit {
  std::string key;
  ConfigOperation operation = ConfigOperation::set;
  std::optional<std::string> value;
};
using ConfigCheck = std::optional<Refusal> (*)(std::string_view key,
                                               const std::optional<std::string>& value);

// The configs after all the edits. Errors: invalid_config, for a key or a value that `check`
// refuses, or an append to what is no list; invalid_request, for a key that is named twice.
tl::expected<metadata::Configs, Refusal> edited(metadata::Configs own,
                                                const std::vector<ConfigEdit>& edits,
                                                ConfigCheck check);

// What a topic's config counts as: its own value, else that of all brokers, else the controller's.
std::size_t min_insync_of(const metadata::Image& image, const metadata::Topic& topic,
                          const ControllerOptions& options);
bool elects_uncleanly(const metadata::Image& image, const metadata::Topic& topic,
                      const ControllerOptions& options);

// The rules of a topic's elections. They read `image` and are to be used no longer than it.
ElectionRules rules_of(const metadata::Image& image, const metadata::Topic& topic,
                       const ControllerOptions& options);

}  // namespace qlab::controller
