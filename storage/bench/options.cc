#include "storage/bench/options.h"

#include <charconv>
#include <functional>
#include <limits>
#include <map>

#include "storage/engine.h"
#include "storage/layout.h"

namespace qlab::storage::bench {
namespace {

using O = BenchOptions;

constexpr unsigned kAppend = 1U << static_cast<unsigned>(Mode::append);
constexpr unsigned kRead = 1U << static_cast<unsigned>(Mode::read);
constexpr unsigned kThreads = 1U << static_cast<unsigned>(Mode::threads);
constexpr unsigned kPartitions = 1U << static_cast<unsigned>(Mode::partitions);
constexpr unsigned kRecovery = 1U << static_cast<unsigned>(Mode::recovery);
constexpr unsigned kEngine = kAppend | kRead | kPartitions | kRecovery;
constexpr unsigned kAll = kEngine | kThreads;
constexpr std::uint64_t kMiB = 1u << 20;
constexpr std::uint64_t kGiB = 1u << 30;

struct Flag {
  std::string_view name;
  unsigned modes;
  std::string allowed;
  std::string_view meaning;
  std::function<bool(O&, std::string_view)> set;
  std::function<Json(O)> get;  // From a copy, for a field is given to be set.
};

template <class T>
bool read_number(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

// `4096`, `4k`, `64m`, `1g`.
bool read_bytes(std::string_view text, std::uint64_t& value) {
  constexpr std::string_view units = "kmgt";
  const std::size_t unit = text.empty() ? std::string_view::npos : units.find(text.back() | 0x20);
  if (unit != std::string_view::npos) text.remove_suffix(1);
  if (!read_number(text, value)) return false;
  const unsigned shift =
      unit == std::string_view::npos ? 0 : 10 * (static_cast<unsigned>(unit) + 1);
  if (shift > 0 && value > std::numeric_limits<std::uint64_t>::max() >> shift) return false;
  value <<= shift;
  return true;
}

template <class T>
Flag number(std::string_view name, unsigned modes, std::function<T&(O&)> field, T low, T high,
            std::string_view meaning) {
  return {name,
          modes,
          fmt::format("{} to {}", low, high),
          meaning,
          [=](O& options, std::string_view text) {
            T value{};
            if (!read_number(text, value) || !(value >= low && value <= high)) return false;
            field(options) = value;
            return true;
          },
          [=](O options) { return Json(field(options)); }};
}

Flag size(std::string_view name, unsigned modes, std::function<std::uint64_t&(O&)> field,
          std::uint64_t low, std::uint64_t high, std::string_view meaning) {
  return {name,
          modes,
          fmt::format("{} to {} bytes; k, m and g may follow", low, high),
          meaning,
          [=](O& options, std::string_view text) {
            std::uint64_t value = 0;
            if (!read_bytes(text, value) || value < low || value > high) return false;
            field(options) = value;
            return true;
          },
          [=](O options) { return Json(field(options)); }};
}

template <class T>
Flag choice(std::string_view name, unsigned modes, std::function<T&(O&)> field,
            std::vector<std::pair<std::string_view, T>> words, std::string_view meaning) {
  std::string allowed;
  for (const auto& [word, value] : words) {
    allowed += (allowed.empty() ? "" : ", ") + std::string(word);
  }
  return {name,
          modes,
          allowed,
          meaning,
          [=](O& options, std::string_view text) {
            for (const auto& [word, value] : words) {
              if (word != text) continue;
              field(options) = value;
              return true;
            }
            return false;
          },
          [=](O options) {
            for (const auto& [word, value] : words) {
              if (value == field(options)) return Json(word);
            }
            return Json(nullptr);
          }};
}

Flag text(std::string_view name, unsigned modes, std::function<std::string&(O&)> field,
          std::string_view allowed, std::string_view meaning) {
  return {name,
          modes,
          std::string(allowed),
          meaning,
          [=](O& options, std::string_view value) {
            field(options) = value;
            return true;
          },
          [=](O options) { return Json(field(options)); }};
}

std::vector<std::pair<std::string_view, std::string>> words_of(
    const std::vector<std::string_view>& names) {
  std::vector<std::pair<std::string_view, std::string>> words;
  for (const std::string_view name : names) words.emplace_back(name, name);
  return words;
}

std::vector<std::pair<std::string_view, Preallocation>> preallocations() {
  std::vector<std::pair<std::string_view, Preallocation>> words;
  for (const std::string_view name : preallocation_names()) {
    words.emplace_back(name, parse_preallocation(name).value());
  }
  return words;
}

#define FIELD(member) [](O& o) -> decltype(o.member)& { return o.member; }

std::vector<Flag> plug_flags() {
  return {
      choice<std::string>("engine", kEngine, FIELD(engine), words_of(engine_names()),
                          "how bytes reach the disk"),
      choice<std::string>("layout", kAppend | kRead | kPartitions | kRecovery, FIELD(layout),
                          words_of(layout_names()), "how logs share it; of level log"),
      choice<Level>("level", kAppend | kRead, FIELD(level),
                    {{"segment", Level::segment}, {"log", Level::log}},
                    "the engine's segment by itself, or a whole log of record batches"),
      choice<Durability>(
          "durability", kAppend | kPartitions | kRecovery, FIELD(log_options.durability),
          {{"none", Durability::none}, {"group", Durability::group}, {"sync", Durability::sync}},
          "when an append is done: at once, at once and durable soon, or durable"),
      choice<Preallocation>("preallocation", kEngine, FIELD(engine_options.preallocation),
                            preallocations(), "how the file of a new segment gets its space"),
      size("prepared-bytes", kEngine, FIELD(engine_options.prepared_bytes), kMiB, kGiB,
           "size of a prepared file"),
      number<std::size_t>("spares", kEngine, FIELD(engine_options.spares), 0, 64,
                          "prepared files that wait"),
      size("segment-bytes", kEngine, FIELD(log_options.segment_bytes), kMiB, kGiB,
           "where a segment rolls"),
      number<std::size_t>("open-files-max", kEngine, FIELD(layout_options.open_files_max), 16,
                          1'000'000, "segment files that a layout holds open"),
      choice<GroupSync>("group-sync", kEngine, FIELD(layout_options.group_sync),
                        {{"files", GroupSync::files}, {"filesystem", GroupSync::filesystem}},
                        "how a layout makes many dirty files durable"),
      number<std::size_t>("recovery-parallelism", kEngine,
                          FIELD(layout_options.recovery_parallelism), 1, 256,
                          "logs that are recovered at a time"),
  };
}

std::vector<Flag> load_flags() {
  constexpr unsigned kLoad = kAppend | kRead | kThreads | kPartitions;
  constexpr auto kMax = std::numeric_limits<std::uint64_t>::max();
  return {
      size("size", kAll, FIELD(size), 1, 64 * kMiB, "of one append or read"),
      number<std::uint64_t>("concurrency", kLoad | kRecovery, FIELD(concurrency), 1, 65'536,
                            "appenders, readers, threads, or logs that are opened: operations "
                            "under way at a time"),
      number<std::uint64_t>("partitions", kAppend | kPartitions | kRecovery, FIELD(partitions), 1,
                            1'000'000, "segments or logs that are appended to"),
      number<std::uint64_t>("active", kPartitions, FIELD(active), 0, 1'000'000,
                            "of them, those that are appended to, each once before it is measured; "
                            "0: all, and not before"),
      choice<Spread>("spread", kAppend | kPartitions, FIELD(spread),
                     {{"random", Spread::random}, {"round-robin", Spread::round_robin}},
                     "which of them is next"),
      choice<Order>("order", kRead, FIELD(order),
                    {{"sequential", Order::sequential}, {"random", Order::random}},
                    "which place is read next"),
      choice<ThreadPath>("path", kThreads, FIELD(thread_path),
                         {{"fdatasync", ThreadPath::fdatasync}, {"direct", ThreadPath::direct}},
                         "pwrite and fdatasync, or O_DIRECT and O_DSYNC, of each thread its own"),
      number<double>("rate", kAppend | kRead, FIELD(rate), 0, 1e7,
                     "open loop: operations due per second; 0: closed loop"),
      choice<Arrivals>("arrivals", kAppend | kRead, FIELD(arrivals),
                       {{"constant", Arrivals::constant}, {"poisson", Arrivals::poisson}},
                       "open loop: how the times at which they are due are spaced"),
      number<std::uint64_t>("outstanding-max", kAppend | kRead, FIELD(outstanding_max), 1,
                            1'000'000,
                            "open loop: operations under way; latency still counts "
                            "from when one was due"),
      number<double>("settle", kAppend | kRead | kPartitions, FIELD(settle_s), 0, 3600,
                     "seconds of rest before the first operation, for files to be prepared"),
      number<double>("warmup", kLoad, FIELD(warmup_s), 0, 3600, "seconds before it is measured"),
      number<double>("duration", kLoad, FIELD(duration_s), 0.01, 3600, "seconds that are measured"),
      number<std::uint64_t>("operations-max", kLoad, FIELD(operations_max), 0, kMax,
                            "measured operations; 0: what the time allows"),
      size("bytes-max", kAppend | kPartitions, FIELD(bytes_max), 1, std::uint64_t{1} << 40,
           "ends the run when so much was appended"),
      size("bytes", kRead | kRecovery | kThreads, FIELD(bytes), kMiB, std::uint64_t{1} << 40,
           "of the file or log that is read, recovered or overwritten"),
      choice<Cold>("cold", kRead | kPartitions | kRecovery, FIELD(cold),
                   {{"no", Cold::no}, {"files", Cold::files}, {"machine", Cold::machine}},
                   "what is dropped before it is read: nothing, the pages of its files, or all "
                   "caches of the machine"),
      choice<End>("end", kRecovery, FIELD(end), {{"clean", End::clean}, {"killed", End::killed}},
                  "how the process ends that wrote the log"),
      choice<Stage>("stage", kPartitions | kRecovery, FIELD(stage),
                    {{"all", Stage::all}, {"fill", Stage::fill}, {"recover", Stage::recover}},
                    "all in a fresh directory, or one half in --dir itself, which stays"),
  };
}

std::vector<Flag> other_flags() {
  return {
      text("dir", kAll, FIELD(directory), "a directory",
           "a fresh directory is made there and removed at the end; empty: beside the program"),
      text("hlog", kAll, FIELD(hlog), "a file",
           "adds every histogram to it, in HdrHistogram's log format"),
      text("label", kAll, FIELD(label), "any words", "copied into every line"),
      number<std::int64_t>("cpu", kAll, FIELD(cpu), -1, 1023,
                           "the shard stays on it; -1: anywhere"),
      number<std::uint64_t>("seed", kAll, FIELD(seed), 0, std::numeric_limits<std::uint64_t>::max(),
                            "of all random choices"),
      number<std::int64_t>("delay-us", kEngine, FIELD(delay_us), 0, 10'000'000,
                           "injected before each write or sync: is it seen?"),
      choice<DelayAt>("delay-at", kEngine, FIELD(delay_at),
                      {{"write", DelayAt::write}, {"sync", DelayAt::sync}}, "where"),
  };
}

#undef FIELD

std::vector<Flag> all_flags() {
  std::vector<Flag> flags = plug_flags();
  for (Flag& flag : load_flags()) flags.push_back(std::move(flag));
  for (Flag& flag : other_flags()) flags.push_back(std::move(flag));
  return flags;
}

constexpr std::pair<std::string_view, Mode> modes[] = {{"append", Mode::append},
                                                       {"read", Mode::read},
                                                       {"threads", Mode::threads},
                                                       {"partitions", Mode::partitions},
                                                       {"recovery", Mode::recovery}};

bool belongs(const Flag& flag, Mode mode) {
  return (flag.modes & 1U << static_cast<unsigned>(mode)) != 0;
}

// What a mode measures when nothing else is said.
BenchOptions defaults(Mode mode) {
  BenchOptions options;
  options.mode = mode;
  if (mode != Mode::append) options.level = Level::log;
  if (mode == Mode::threads || mode == Mode::partitions) {
    options.size = 1024;
    options.concurrency = 64;
  }
  if (mode == Mode::threads) options.bytes = 256 * kMiB;
  if (mode == Mode::partitions) options.partitions = 1000;
  if (mode == Mode::read) options.size = 64 * 1024;
  if (mode == Mode::recovery) {
    options.size = 64 * 1024;
    options.concurrency = 16;
    options.log_options.segment_bytes = kGiB;
    options.log_options.durability = Durability::none;
  }
  return options;
}

Result<void> apply(BenchOptions& options, const std::vector<Flag>& flags, std::string_view name,
                   std::string_view value) {
  for (const Flag& flag : flags) {
    if (flag.name != name || !belongs(flag, options.mode)) continue;
    if (flag.set(options, value)) return {};
    return fail(Errc::invalid, "--{}={}: allowed is {}", name, value, flag.allowed);
  }
  return fail(Errc::invalid, "--{}={}: this mode has no such flag; see --help", name, value);
}

Result<void> check_together(const BenchOptions& options) {
  // A batch of one record: its header, and what a record with a small value needs.
  constexpr std::uint64_t batch_bytes_min = 72;
  if (options.level == Level::log && options.mode != Mode::threads &&
      options.size < batch_bytes_min) {
    return fail(Errc::invalid, "--size={}: a record batch has at least {} bytes", options.size,
                batch_bytes_min);
  }
  if (options.size > options.log_options.segment_bytes) {
    return fail(Errc::invalid, "--size={}: --segment-bytes={} does not hold it", options.size,
                options.log_options.segment_bytes);
  }
  if (options.active > options.partitions) {
    return fail(Errc::invalid, "--active={}: --partitions={} are fewer", options.active,
                options.partitions);
  }
  if (options.stage != Stage::all && options.directory.empty()) {
    return fail(Errc::invalid, "--stage: half of a run needs --dir, where the other half finds it");
  }
  return {};
}

}  // namespace

Result<BenchOptions> parse_options(std::span<const std::string_view> arguments) {
  std::string known;
  for (const auto& [word, mode] : modes)
    known += fmt::format("{}{}", known.empty() ? "" : ", ", word);
  if (arguments.empty()) return fail(Errc::invalid, "a mode is required: {}", known);
  BenchOptions options;
  bool found = false;
  for (const auto& [word, mode] : modes) {
    if (word != arguments[0]) continue;
    options = defaults(mode);
    found = true;
  }
  if (!found) return fail(Errc::invalid, "mode {}: allowed is {}", arguments[0], known);
  const std::vector<Flag> flags = all_flags();
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    std::string_view name = arguments[i];
    if (!name.starts_with("--")) return fail(Errc::invalid, "{}: flags begin with --", name);
    name.remove_prefix(2);
    std::string_view value;
    if (const std::size_t equals = name.find('='); equals != std::string_view::npos) {
      value = name.substr(equals + 1);
      name = name.substr(0, equals);
    } else if (i + 1 < arguments.size()) {
      value = arguments[++i];
    } else {
      return fail(Errc::invalid, "--{} needs a value", name);
    }
    TRY_VOID(apply(options, flags, name, value));
  }
  TRY_VOID(check_together(options));
  return options;
}

Json parameters(const BenchOptions& options) {
  Json all = Json::object();
  for (const Flag& flag : all_flags()) {
    if (belongs(flag, options.mode)) all[std::string(flag.name)] = flag.get(options);
  }
  return all;
}

std::vector<std::string> arguments(const BenchOptions& options) {
  std::vector<std::string> words;
  for (const auto& [word, mode] : modes) {
    if (mode == options.mode) words.emplace_back(word);
  }
  const Json all = parameters(options);
  for (const auto& [name, value] : all.items()) {
    words.push_back(
        fmt::format("--{}={}", name, value.is_string() ? value.get<std::string>() : value.dump()));
  }
  return words;
}

Json plugs() {
  return {{"engines", engine_names()}, {"layouts", layout_names()}};
}

std::string help() {
  std::string out =
      "qlab-bench-storage: what an append, a read and a recovery cost, on the real disk.\n\n"
      "usage: qlab-bench-storage MODE [--flag value]...\n\n"
      "  append      appends to segments or logs, in a closed or an open loop\n"
      "  read        reads a log or a segment back\n"
      "  threads     the baseline of group commit: threads that each sync for themselves\n"
      "  partitions  many logs: creates, appends, kills itself, recovers\n"
      "  recovery    writes a log, ends it cleanly or not, recovers it\n"
      "  plugs       lists engines and layouts\n\n"
      "Prints one JSON object per measurement on standard output. Times are in the unit that the\n"
      "key's end names; percentiles come with the whole histogram (histogram: HdrHistogram's V2\n"
      "encoding in base64, in nanoseconds), so that distributions can be drawn again.\n"
      "Exit status: 0 done, 1 it could not be measured, 2 wrong arguments.\n\n"
      "example: qlab-bench-storage append --engine=uring --size=4k --preallocation=zeros --cpu=1\n";
  for (const auto& [word, mode] : modes) {
    out += fmt::format("\nflags of {}:\n", word);
    const BenchOptions standard = defaults(mode);
    for (const Flag& flag : all_flags()) {
      if (!belongs(flag, mode)) continue;
      const Json value = flag.get(standard);
      const std::string words = value.is_string() ? value.get<std::string>() : value.dump();
      out += fmt::format("  --{:<21} {}\n  {:23} [{}; default {}]\n", flag.name, flag.meaning, "",
                         flag.allowed, words.empty() ? "empty" : words);
    }
  }
  return out;
}

}  // namespace qlab::storage::bench
