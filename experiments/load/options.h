#pragma once
// What qlab-load can be asked to do: one struct, one table of flags with default, bounds and
// meaning.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.h"

namespace qlab::experiments {

enum class Mode : std::uint8_t { produce, read_all, probe };
enum class Arrivals : std::uint8_t { constant, poisson };
enum class Warmup : std::uint8_t { fixed, steady };

struct LoadOptions {
  Mode mode = Mode::produce;
  std::string bootstrap;                // host:port,...
  std::string output;                   // Directory for what is recorded; made when missing.
  std::string topic = "load";           // In probe: the prefix of the topics' names.
  std::int64_t partitions = 0;          // 0: as many as the topic has.
  std::int64_t replication_factor = 1;  // Of a topic that is created.
  std::int64_t min_insync = 1;
  bool create = false;  // Create the topic when it is unknown.
  std::int64_t seed = 1;
  std::int64_t connect_timeout_ms = 15'000;  // Until the topic is known at the start.

  double rate = 1000;  // Offered operations per second, all producers together.
  Arrivals arrivals = Arrivals::constant;
  double duration_s = 10;  // Measured time after the warm-up; 0: until a signal.
  Warmup warmup = Warmup::steady;
  double warmup_s = 2;       // Fixed: its length. Steady: its least length.
  double warmup_max_s = 30;  // Steady: go on after this, steady or not.
  std::int64_t window_ms = 100;
  std::int64_t producers = 1;
  std::int64_t record_bytes = 256;
  std::int64_t keys = 0;  // Distinct keys; 0: no keys, partitions in turn.
  bool consume = true;
  bool history = true;

  std::string acks = "all";
  bool idempotence = true;
  std::int64_t message_timeout_ms = 30'000;
  std::int64_t request_timeout_ms = 5'000;
  std::int64_t retries = 2'147'483'647;
  std::int64_t in_flight_max = 5;
  std::int64_t linger_ms = 0;
  std::string compression = "none";
  std::vector<std::pair<std::string, std::string>> client;  // Any other librdkafka property.

  // The flags as they were understood, for result.json.
  std::vector<std::pair<std::string, std::string>> as_given;
};

// Reads `MODE --flag value --flag=value ...`.
//
// Errors: invalid; names the flag, the value and what is allowed.
Result<LoadOptions> parse_options(std::span<const std::string_view> arguments);

// Every mode and flag with default, allowed values and meaning.
std::string help();

}  // namespace qlab::experiments
