#pragma once
// What qlab-bench-storage can be asked to measure: one struct, one table of flags with default,
// bounds and meaning.

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "common/result.h"
#include "storage/engine_options.h"
#include "storage/layout_options.h"
#include "storage/options.h"

namespace qlab::storage::bench {

using Json = nlohmann::ordered_json;

enum class Mode : std::uint8_t { append, read, threads, partitions, recovery };
// What is driven: the engine's segment by itself, or a whole log above it.
enum class Level : std::uint8_t { segment, log };
enum class Arrivals : std::uint8_t { constant, poisson };
enum class Spread : std::uint8_t { random, round_robin };
enum class Order : std::uint8_t { sequential, random };
// Where an injected delay sits.
enum class DelayAt : std::uint8_t { write, sync };
// How a thread of the baseline makes its own append durable.
enum class ThreadPath : std::uint8_t { fdatasync, direct };
enum class End : std::uint8_t { clean, killed };
// What is dropped before something is read: nothing, the pages of its files, or all clean caches.
enum class Cold : std::uint8_t { no, files, machine };
// What of the modes partitions and recovery is done: all in a fresh directory, or one half in a
// directory that stays.
enum class Stage : std::uint8_t { all, fill, recover };

struct BenchOptions {
  Mode mode = Mode::append;
  Stage stage = Stage::all;
  std::string label;      // Copied into every line.
  std::string directory;  // Where a fresh directory is made; empty: beside the program.
  std::string hlog;       // Histograms are added to this file too, in HdrHistogram's log format.
  std::int64_t cpu = -1;  // The shard stays on it; -1: anywhere.
  std::uint64_t seed = 1;

  std::string engine = "buffered";
  std::string layout = "per_partition";
  Level level = Level::segment;
  EngineOptions engine_options;
  LayoutOptions layout_options;
  // Durability, segment size. The size is that of the level `segment` too.
  LogOptions log_options = {.segment_bytes = 64u << 20};

  std::uint64_t size = 4096;  // Of one append or read, in bytes.
  std::uint64_t concurrency = 1;
  std::uint64_t partitions = 1;
  std::uint64_t active = 0;  // Of them, those that are appended to; 0: all.
  Spread spread = Spread::random;
  Order order = Order::sequential;
  ThreadPath thread_path = ThreadPath::fdatasync;

  double rate = 0;  // Operations per second that are due, whatever happens; 0: closed loop.
  Arrivals arrivals = Arrivals::poisson;
  std::uint64_t outstanding_max = 65'536;
  double settle_s = 0;  // Nothing is sent meanwhile, and files are prepared.
  double warmup_s = 1;
  double duration_s = 5;
  std::uint64_t operations_max = 0;  // Measured ones; 0: as many as there is time for.
  std::uint64_t bytes_max = std::uint64_t{16} << 30;  // Appended, warm-up included.

  std::uint64_t bytes = std::uint64_t{1} << 30;  // Of the log that is read or recovered.
  Cold cold = Cold::files;
  End end = End::killed;

  std::int64_t delay_us = 0;  // Injected before every write or sync, to see whether it is seen.
  DelayAt delay_at = DelayAt::sync;
};

// The partitions that are appended to.
inline std::uint64_t active_partitions(const BenchOptions& options) {
  return options.active == 0 ? options.partitions : options.active;
}

// Reads `MODE --flag value --flag=value ...`.
// Errors: invalid; names the flag, the value and what is allowed.
Result<BenchOptions> parse_options(std::span<const std::string_view> arguments);

// The value of each flag of the mode, defaults included: what was really done.
Json parameters(const BenchOptions& options);
// The same as a command line that parse_options reads.
std::vector<std::string> arguments(const BenchOptions& options);

// The engines and layouts of this build.
Json plugs();

// Every mode and flag with default, allowed values and meaning.
std::string help();

}  // namespace qlab::storage::bench
