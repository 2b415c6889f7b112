#pragma once
// The configs of a topic that say something about its logs, under Kafka's names.
//
// Source: Kafka 3.9, TopicConfig.

#include <string>
#include <string_view>
#include <vector>

#include "storage/options.h"

namespace qlab::storage {

// Their keys, sorted.
std::vector<std::string_view> topic_option_keys();

// Takes the value of one into `options`.
// Errors: not_found, when there is no such key; invalid, naming key, value and what is allowed, and
// nothing was changed.
Result<void> set_topic_option(LogOptions& options, std::string_view key, std::string_view text);

// The value of one as text, so that setting it again changes nothing. Requires: it is a key of
// them.
std::string topic_option_text(const LogOptions& options, std::string_view key);

}  // namespace qlab::storage
