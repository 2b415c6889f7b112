// qlab-sim: runs seeds of a simulated group and tells which of them broke what.

#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>

#include <unistd.h>

#include "common/logging.h"
#include "sim/modules.h"
#include "sim/trial.h"

namespace qlab::sim {
namespace {

constexpr std::string_view usage = R"(qlab-sim [--module M] [--seeds A:B | --replay SEED] ...
  --module M         the consensus module (default raft)
  --seeds A:B        seeds A up to and without B (default 1:101); each runs twice
  --replay SEED      one seed, once, with its recent trace printed
  --trace FILE       with --replay: the whole trace as NDJSON
  --mutant NAME      a bug to put in: none, send_before_sync
  --faults-ms N      virtual time under faults (default 20000)
  --json             one JSON object per seed on standard output
Exit status: 0 when no seed found anything, 1 when one did, 2 for a wrong option.
)";

struct Command {
  TrialOptions trial;
  std::uint64_t first = 1;
  std::uint64_t end = 101;
  bool replays = false;
  bool json = false;
};

template <class T>
Result<T> number(std::string_view option, std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.begin(), text.end(), value);
  if (error != std::errc{} || end != text.end()) {
    return fail(Errc::invalid, "{}={} is not a number", option, text);
  }
  return value;
}

Result<void> take_seeds(Command& command, std::string_view value) {
  const std::size_t colon = value.find(':');
  if (colon == std::string_view::npos) return fail(Errc::invalid, "--seeds={} is not A:B", value);
  TRY(command.first, number<std::uint64_t>("--seeds", value.substr(0, colon)));
  TRY(command.end, number<std::uint64_t>("--seeds", value.substr(colon + 1)));
  if (command.first < command.end) return {};
  return fail(Errc::invalid, "--seeds={} holds no seed: A must be less than B", value);
}

Result<void> take(Command& command, std::string_view option, std::string_view value) {
  if (option == "--seeds") return take_seeds(command, value);
  if (option == "--module") {
    command.trial.module = value;
  } else if (option == "--mutant") {
    command.trial.mutant = value;
  } else if (option == "--trace") {
    command.trial.trace_file = value;
  } else if (option == "--replay") {
    TRY(command.first, number<std::uint64_t>(option, value));
    command.end = command.first + 1;
    command.replays = true;
  } else if (option == "--faults-ms") {
    TRY(const auto ms, number<std::int64_t>(option, value));
    if (ms < 1 || ms > 3'600'000) {
      return fail(Errc::invalid, "--faults-ms={} is not in [1, 3600000]", ms);
    }
    command.trial.faults_for = std::chrono::milliseconds(ms);
  } else {
    return fail(Errc::invalid, "there is no option {}", option);
  }
  return {};
}

Result<Command> parse(int argc, char** argv) {
  Command command;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (option == "--json") {
      command.json = true;
      continue;
    }
    if (i + 1 == argc) return fail(Errc::invalid, "{} has no value, or is no option", option);
    TRY_VOID(take(command, option, argv[++i]));
  }
  if (const auto wrong = command.trial.validate()) return fail(Errc::invalid, "{}", *wrong);
  return command;
}

std::string replay_command(const TrialOptions& trial, std::uint64_t seed) {
  return fmt::format("./qlab sim --module {} --mutant {} --faults-ms {:.0f} --replay {}",
                     trial.module, trial.mutant, to_millis(trial.faults_for), seed);
}

// What a CHECK that fails leaves behind: which seed it was. Made before each seed, as a signal
// handler may only write.
char words_of_abort[512];

void tell_seed(int) {
  const auto written = write(STDERR_FILENO, words_of_abort, std::strlen(words_of_abort));
  static_cast<void>(written);
}

void prepare_for_abort(const TrialOptions& trial, std::uint64_t seed) {
  const auto words =
      fmt::format("seed {} aborted; replay: {}\n", seed, replay_command(trial, seed));
  const std::size_t count = std::min(words.size(), sizeof words_of_abort - 1);
  std::copy_n(words.begin(), count, words_of_abort);
  words_of_abort[count] = 0;
}

int run(const Command& command) {
  std::uint64_t found = 0;
  Duration simulated{};
  for (std::uint64_t seed = command.first; seed != command.end; ++seed) {
    prepare_for_abort(command.trial, seed);
    const Verdict verdict =
        command.replays ? run_trial(seed, command.trial) : run_twice(seed, command.trial);
    simulated += verdict.virtual_time * (command.replays ? 1 : 2);
    if (command.json) fmt::print("{}\n", verdict.to_json());
    if (command.replays && !verdict.finding) fmt::print(stderr, "{}\n", verdict.to_json());
    if (!verdict.finding) continue;
    ++found;
    if (command.replays) fmt::print(stderr, "{}", verdict.recent_trace);
    fmt::print(stderr, "seed {}: {}\n  replay: {}\n", seed, *verdict.finding,
               replay_command(command.trial, seed));
  }
  const double seconds = std::chrono::duration<double>(simulated).count();
  fmt::print(stderr, "{} seeds, {} with a finding; {:.0f} virtual seconds\n",
             command.end - command.first, found, seconds);
  return found == 0 ? 0 : 1;
}

}  // namespace
}  // namespace qlab::sim

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--help") {
    fmt::print("{}", qlab::sim::usage);
    return 0;
  }
  const auto command = qlab::sim::parse(argc, argv);
  if (!command) {
    fmt::print(stderr, "{}\n", command.error().context);
    return 2;
  }
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // A line is out before a later seed can abort.
  qlab::set_log_level(qlab::LogLevel::error);
  std::signal(SIGABRT, qlab::sim::tell_seed);
  return qlab::sim::run(*command);
}
