#include "storage/topic_options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "common/check.h"

namespace qlab::storage {
namespace {

constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();

struct Number {
  std::string_view key;
  std::int64_t least;
  std::int64_t most;
  void (*set)(LogOptions& options, std::int64_t value);
  std::int64_t (*get)(const LogOptions& options);
};

constexpr std::array numbers{
    Number{"delete.retention.ms", 0, most,
           [](LogOptions& o, std::int64_t v) { o.delete_retention = WallMillis(v); },
           [](const LogOptions& o) -> std::int64_t { return o.delete_retention.count(); }},
    Number{"max.compaction.lag.ms", 1, most,
           [](LogOptions& o, std::int64_t v) { o.compaction_lag_max = WallMillis(v); },
           [](const LogOptions& o) -> std::int64_t { return o.compaction_lag_max.count(); }},
    Number{"min.compaction.lag.ms", 0, most,
           [](LogOptions& o, std::int64_t v) { o.compaction_lag_min = WallMillis(v); },
           [](const LogOptions& o) -> std::int64_t { return o.compaction_lag_min.count(); }},
    Number{"retention.bytes", -1, most,
           [](LogOptions& o, std::int64_t v) { o.retention_bytes = v; },
           [](const LogOptions& o) { return o.retention_bytes; }},
    Number{"retention.ms", -1, most,
           [](LogOptions& o, std::int64_t v) { o.retention = WallMillis(v); },
           [](const LogOptions& o) -> std::int64_t { return o.retention.count(); }},
    Number{"segment.bytes", 1 << 20, 1 << 30,
           [](LogOptions& o, std::int64_t v) { o.segment_bytes = static_cast<std::uint64_t>(v); },
           [](const LogOptions& o) { return static_cast<std::int64_t>(o.segment_bytes); }},
    Number{"segment.ms", 1, most,
           [](LogOptions& o, std::int64_t v) { o.segment_age_max = WallMillis(v); },
           [](const LogOptions& o) -> std::int64_t { return o.segment_age_max.count(); }},
};
constexpr std::string_view policy_key = "cleanup.policy";
constexpr std::string_view ratio_key = "min.cleanable.dirty.ratio";

template <class T>
bool parse(std::string_view text, T& into) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), into);
  return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

std::vector<std::string_view> topic_option_keys() {
  std::vector<std::string_view> keys{policy_key, ratio_key};
  for (const Number& number : numbers) keys.push_back(number.key);
  std::sort(keys.begin(), keys.end());
  return keys;
}

Result<void> set_topic_option(LogOptions& options, std::string_view key, std::string_view text) {
  if (key == policy_key) {
    TRY(options.cleanup_policy, parse_cleanup_policy(text));
    return {};
  }
  if (key == ratio_key) {
    double ratio = 0;
    if (!parse(text, ratio) || !(ratio >= 0 && ratio <= 1)) {
      return fail(Errc::invalid, "{}={} is not a number in [0, 1]", key, text);
    }
    options.cleanable_ratio_min = ratio;
    return {};
  }
  for (const Number& number : numbers) {
    if (number.key != key) continue;
    std::int64_t value = 0;
    if (!parse(text, value) || value < number.least || value > number.most) {
      return fail(Errc::invalid, "{}={} is not a number in [{}, {}]", key, text, number.least,
                  number.most);
    }
    number.set(options, value);
    return {};
  }
  return fail(Errc::not_found, "{} says nothing about a log", key);
}

std::string topic_option_text(const LogOptions& options, std::string_view key) {
  if (key == policy_key) {
    const CleanupPolicy policy = options.cleanup_policy;
    if (policy == CleanupPolicy::both) return "compact,delete";
    return compacts(policy) ? "compact" : "delete";
  }
  if (key == ratio_key) return fmt::format("{}", options.cleanable_ratio_min);
  const auto at = std::find_if(numbers.begin(), numbers.end(),
                               [&](const Number& number) { return number.key == key; });
  CHECK(at != numbers.end());
  return std::to_string(at->get(options));
}

}  // namespace qlab::storage
