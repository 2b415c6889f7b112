#pragma once
// Which log is meant, and which logs belong where they lie.

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "common/ids.h"

namespace qlab::storage {

// Which log is meant: the partition's name, `topic-3`, and the id of its topic, which tells it from
// a namesake that was deleted.
struct LogName {
  std::string partition;
  TopicId topic;
};

// The topic whose partition of that name has a replica on this broker; nothing: none has.
using Tenants = std::function<std::optional<TopicId>(std::string_view partition)>;

}  // namespace qlab::storage
