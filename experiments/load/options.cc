#include "experiments/load/options.h"

#include <charconv>
#include <cmath>
#include <functional>
#include <map>

namespace qlab::experiments {
namespace {

constexpr unsigned kProduce = 1;
constexpr unsigned kReadAll = 2;
constexpr unsigned kProbe = 4;
constexpr unsigned kAll = kProduce | kReadAll | kProbe;

using Setter = std::function<bool(LoadOptions&, std::string_view)>;

struct Flag {
  std::string_view name;
  unsigned modes;
  std::string_view standard;  // The default, as one would write it.
  std::string allowed;
  std::string_view meaning;
  Setter set;
};

template <class T>
bool read_number(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

template <class T>
Setter number(T LoadOptions::*field, T low, T high) {
  return [=](LoadOptions& options, std::string_view text) {
    T value{};
    if (!read_number(text, value) || !(value >= low && value <= high)) return false;
    options.*field = value;
    return true;
  };
}

template <class T>
Flag numeric(std::string_view name, unsigned modes, std::string_view standard,
             T LoadOptions::*field, T low, T high, std::string_view meaning) {
  return {
      name, modes, standard, fmt::format("{} to {}", low, high), meaning, number(field, low, high)};
}

Flag text(std::string_view name, unsigned modes, std::string_view standard,
          std::string LoadOptions::*field, std::string_view allowed, std::string_view meaning) {
  return {name,
          modes,
          standard,
          std::string(allowed),
          meaning,
          [field](LoadOptions& options, std::string_view value) {
            options.*field = value;
            return !value.empty();
          }};
}

template <class T>
Flag choice(std::string_view name, unsigned modes, std::string_view standard, T LoadOptions::*field,
            std::map<std::string_view, T> words, std::string_view meaning) {
  std::string allowed;
  for (const auto& [word, value] : words) {
    allowed += (allowed.empty() ? "" : ", ") + std::string(word);
  }
  return {name,
          modes,
          standard,
          allowed,
          meaning,
          [field, words = std::move(words)](LoadOptions& options, std::string_view value) {
            const auto found = words.find(value);
            if (found == words.end()) return false;
            options.*field = found->second;
            return true;
          }};
}

Flag yes_no(std::string_view name, unsigned modes, std::string_view standard,
            bool LoadOptions::*field, std::string_view meaning) {
  return choice<bool>(name, modes, standard, field, {{"true", true}, {"false", false}}, meaning);
}

bool set_warmup(LoadOptions& options, std::string_view value) {
  options.warmup = value == "steady" ? Warmup::steady : Warmup::fixed;
  return value == "steady" || number(&LoadOptions::warmup_s, 0.0, 3600.0)(options, value);
}

bool set_client(LoadOptions& options, std::string_view value) {
  const std::size_t equals = value.find('=');
  if (equals == std::string_view::npos || equals == 0) return false;
  options.client.emplace_back(value.substr(0, equals), value.substr(equals + 1));
  return true;
}

std::vector<Flag> load_flags() {
  using O = LoadOptions;
  constexpr std::int64_t kMillisMax = 3'600'000;
  return {
      numeric("rate", kProduce | kProbe, "1000", &O::rate, 0.01, 1e7,
              "offered operations per second, all producers together"),
      choice<Arrivals>("arrivals", kProduce | kProbe, "constant", &O::arrivals,
                       {{"constant", Arrivals::constant}, {"poisson", Arrivals::poisson}},
                       "how intended send times are spaced"),
      numeric("duration", kProduce | kProbe, "10", &O::duration_s, 0.0, 1e6,
              "seconds measured after the warm-up; 0: until SIGTERM or SIGINT"),
      {"warmup", kProduce, "steady", "steady, or seconds from 0 to 3600",
       "steady: until latency and rate stop moving", set_warmup},
      numeric("warmup-max", kProduce, "30", &O::warmup_max_s, 0.0, 3600.0,
              "seconds after which a steady warm-up ends all the same"),
      numeric<std::int64_t>("window-ms", kProduce, "100", &O::window_ms, 1, 60'000,
                            "length of one row of windows.jsonl"),
      numeric<std::int64_t>("producers", kProduce, "1", &O::producers, 1, 256,
                            "clients, each with its own connections and schedule"),
      numeric<std::int64_t>("record-bytes", kProduce, "256", &O::record_bytes, 24, 1 << 20,
                            "size of a value; its first 24 bytes carry number, time and checksum"),
      numeric<std::int64_t>("keys", kProduce, "0", &O::keys, 0, 1'000'000'000,
                            "distinct keys (murmur2 places them); 0: no key, partitions in turn"),
      yes_no("consume", kProduce, "true", &O::consume,
             "read along in the same process, for end-to-end latency on one clock"),
      yes_no("history", kProduce | kProbe, "true", &O::history, "write history.jsonl.gz"),
      choice<std::string>("acks", kProduce, "all", &O::acks,
                          {{"0", "0"}, {"1", "1"}, {"all", "all"}}, "what a record waits for"),
      yes_no("idempotence", kProduce, "true", &O::idempotence,
             "enable.idempotence: the broker drops what a retry sent twice (needs acks=all)"),
      numeric<std::int64_t>("message-timeout-ms", kProduce, "30000", &O::message_timeout_ms, 1,
                            kMillisMax, "a record without an ack for so long counts as failed"),
      numeric<std::int64_t>("retries", kProduce, "2147483647", &O::retries, 0, 2'147'483'647,
                            "of a request, within the message timeout"),
      numeric<std::int64_t>("in-flight-max", kProduce, "5", &O::in_flight_max, 1, 1000,
                            "requests per connection; at most 5 with idempotence"),
      numeric<std::int64_t>("linger-ms", kProduce, "0", &O::linger_ms, 0, 60'000,
                            "how long the client waits to fill a batch; part of the latency"),
      choice<std::string>("compression", kProduce, "none", &O::compression,
                          {{"none", "none"},
                           {"gzip", "gzip"},
                           {"snappy", "snappy"},
                           {"lz4", "lz4"},
                           {"zstd", "zstd"}},
                          "codec of a batch"),
      yes_no("create", kProduce, "false", &O::create, "create the topic when it is unknown"),
      numeric<std::int64_t>("partitions", kProduce | kProbe, "0", &O::partitions, 0, 100'000,
                            "of a topic that is created; 0: one, or what the topic has"),
      numeric<std::int64_t>("replication-factor", kProduce | kProbe, "1", &O::replication_factor, 1,
                            99, "of a topic that is created"),
      numeric<std::int64_t>("min-insync", kProduce | kProbe, "1", &O::min_insync, 1, 99,
                            "min.insync.replicas of a topic that is created"),
      text("bootstrap", kAll, "", &O::bootstrap, "host:port,...",
           "where the cluster is (required)"),
      text("output", kAll, "", &O::output, "a directory",
           "for result.json, history.jsonl.gz, latency.hlog, ... (required)"),
      text("topic", kAll, "load", &O::topic, "a name", "topic; in probe: prefix of its new topics"),
      numeric<std::int64_t>("seed", kAll, "1", &O::seed, 0, INT64_MAX,
                            "of Poisson arrivals and keys"),
      numeric<std::int64_t>("request-timeout-ms", kAll, "5000", &O::request_timeout_ms, 1,
                            kMillisMax, "a request without an answer for so long is given up"),
      numeric<std::int64_t>("connect-timeout-ms", kAll, "15000", &O::connect_timeout_ms, 1,
                            kMillisMax, "how long to wait for the cluster at the start"),
      {"client", kAll, "", "a librdkafka property=value",
       "any other property of the client; may be repeated and wins", set_client},
  };
}

unsigned bit_of(Mode mode) {
  return 1U << static_cast<unsigned>(mode);
}

Result<void> apply(LoadOptions& options, const std::vector<Flag>& flags, std::string_view name,
                   std::string_view value) {
  for (const Flag& flag : flags) {
    if (flag.name != name || (flag.modes & bit_of(options.mode)) == 0) continue;
    if (!flag.set(options, value)) {
      return fail(Errc::invalid, "--{}={}: allowed is {}", name, value, flag.allowed);
    }
    options.as_given.emplace_back(name, value);
    return {};
  }
  return fail(Errc::invalid, "--{} is not a flag of this mode; see --help", name);
}

Result<void> check_together(const LoadOptions& options) {
  if (options.bootstrap.empty()) return fail(Errc::invalid, "--bootstrap is required");
  if (options.output.empty()) return fail(Errc::invalid, "--output is required");
  if (options.mode != Mode::produce || !options.idempotence) return {};
  if (options.acks != "all") {
    return fail(Errc::invalid, "--acks={}: idempotence=true allows only all", options.acks);
  }
  if (options.in_flight_max > 5) {
    return fail(Errc::invalid, "--in-flight-max={}: idempotence=true allows 1 to 5",
                options.in_flight_max);
  }
  if (options.retries == 0) {
    return fail(Errc::invalid, "--retries=0: idempotence=true needs at least 1");
  }
  return {};
}

}  // namespace

Result<LoadOptions> parse_options(std::span<const std::string_view> arguments) {
  LoadOptions options;
  if (arguments.empty()) return fail(Errc::invalid, "a mode is required: produce, read-all, probe");
  if (arguments[0] == "produce") {
    options.mode = Mode::produce;
  } else if (arguments[0] == "read-all") {
    options.mode = Mode::read_all;
  } else if (arguments[0] == "probe") {
    options.mode = Mode::probe;
    options.rate = 20;
  } else {
    return fail(Errc::invalid, "mode {}: allowed is produce, read-all, probe", arguments[0]);
  }
  const std::vector<Flag> flags = load_flags();
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

std::string help() {
  std::string out =
      "qlab-load: open-loop load for anything that speaks the Kafka protocol.\n\n"
      "usage: qlab-load MODE --bootstrap HOST:PORT --output DIR [--flag value]...\n\n"
      "  produce   sends records at intended times, reads them back on one clock, records every "
      "outcome\n"
      "  read-all  reads every partition from its beginning to its high watermark, for the "
      "checkers\n"
      "  probe     creates topics at intended times: how soon is a metadata write acknowledged?\n\n"
      "SIGTERM or SIGINT ends a run cleanly; a second one stops waiting for answers still "
      "missing.\n"
      "Exit status: 0 done, 1 the cluster could not be used, 2 wrong arguments.\n";
  const std::pair<Mode, std::string_view> modes[] = {
      {Mode::produce, "produce"}, {Mode::read_all, "read-all"}, {Mode::probe, "probe"}};
  for (const auto& [mode, name] : modes) {
    out += fmt::format("\nflags of {}:\n", name);
    for (const Flag& flag : load_flags()) {
      if ((flag.modes & bit_of(mode)) == 0) continue;
      const std::string_view standard =
          mode == Mode::probe && flag.name == "rate" ? "20" : flag.standard;
      const std::string by_default = standard.empty() ? "" : fmt::format("; default {}", standard);
      out += fmt::format("  --{:<20} {}\n  {:22} [{}{}]\n", flag.name, flag.meaning, "",
                         flag.allowed, by_default);
    }
  }
  return out;
}

}  // namespace qlab::experiments
