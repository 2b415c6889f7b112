// qlab-sim: runs seeds of a simulated group and tells which of them broke what.

#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/logging.h"
#include "sim/cluster_trial.h"
#include "sim/elections.h"
#include "sim/mutants.h"
#include "sim/trial.h"

namespace qlab::sim {
namespace {

constexpr std::string_view usage = R"(qlab-sim [--module M] [--seeds A:B | --replay SEED] ...
  --module M         a group of this consensus module (default raft)
  --plane P          a whole cluster instead: kraft, raft, zk or DESIGN-MODULE, as in quorum-zab
  --replicator R     with --plane: isr (default) or consensus, a group per partition
  --seeds A:B        seeds A up to and without B (default 1:101)
  --twice            each seed twice: both runs must be the same
  --jobs N           so many processes share the seeds (default 1)
  --replay SEED      one seed, once, with its recent trace printed
  --trace FILE       with --replay: the whole trace as NDJSON, with details (docs/trace.md)
  --mutant NAME      a bug to put in (none, and those that --mutants lists)
  --model            holds every step against the protocol's executable model
  --mutants          lists the bugs and the seeds to find each in the module, of at most --seeds
  --elections N      N elections of raft per setting, against the dissertation's closed form
  --faults-ms N      virtual time under faults (default 20000)
  --json             one JSON object per seed on standard output
Exit status: 0 when no seed found anything, 1 when one did, 2 for a wrong option.
)";

struct Command {
  TrialOptions trial;
  std::optional<ClusterTrialOptions> cluster;  // Instead of a group.
  std::string replicator = "isr";              // Of a cluster.
  std::uint64_t first = 1;
  std::uint64_t end = 101;
  std::uint64_t jobs = 1;
  bool replays = false;
  bool twice = false;
  bool json = false;
  bool mutants = false;
  std::uint64_t elections = 0;
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
  } else if (option == "--plane") {
    command.cluster.emplace().plane = value;
  } else if (option == "--replicator") {
    command.replicator = value;
  } else if (option == "--mutant") {
    command.trial.mutant = value;
  } else if (option == "--trace") {
    command.trial.trace_file = value;
  } else if (option == "--replay") {
    TRY(command.first, number<std::uint64_t>(option, value));
    command.end = command.first + 1;
    command.replays = true;
    command.trial.trace_lines = 60;
  } else if (option == "--elections") {
    TRY(command.elections, number<std::uint64_t>(option, value));
  } else if (option == "--jobs") {
    TRY(command.jobs, number<std::uint64_t>(option, value));
    if (command.jobs < 1 || command.jobs > 256) {
      return fail(Errc::invalid, "--jobs={} is not in [1, 256]", command.jobs);
    }
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

// What is said of groups and of clusters alike; the rest is of groups alone.
Result<void> fit_cluster(Command& command) {
  if (command.trial.model || command.mutants || command.elections > 0 ||
      command.trial.mutant != "none") {
    return fail(Errc::invalid,
                "--plane simulates clusters, which have no model and no mutants yet");
  }
  command.cluster->replicator = command.replicator;
  command.cluster->faults_for = command.trial.faults_for;
  command.cluster->trace_lines = command.trial.trace_lines;
  command.cluster->trace_file = command.trial.trace_file;
  if (const auto wrong = command.cluster->validate()) return fail(Errc::invalid, "{}", *wrong);
  return {};
}

Result<Command> parse(int argc, char** argv) {
  Command command;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    bool* const flag = option == "--json"      ? &command.json
                       : option == "--twice"   ? &command.twice
                       : option == "--model"   ? &command.trial.model
                       : option == "--mutants" ? &command.mutants
                                               : nullptr;
    if (flag != nullptr) {
      *flag = true;
      continue;
    }
    if (i + 1 == argc) return fail(Errc::invalid, "{} has no value, or is no option", option);
    TRY_VOID(take(command, option, argv[++i]));
  }
  if (const auto wrong = command.trial.validate()) return fail(Errc::invalid, "{}", *wrong);
  if (command.cluster) TRY_VOID(fit_cluster(command));
  if (!command.cluster && command.replicator != "isr") {
    return fail(Errc::invalid, "--replicator={} is of clusters: name one with --plane",
                command.replicator);
  }
  return command;
}

std::string replay_command(const Command& command, std::uint64_t seed) {
  const TrialOptions& trial = command.trial;
  if (command.cluster) {
    return fmt::format("./qlab sim --plane {} --replicator {} --faults-ms {:.0f} --replay {}",
                       command.cluster->plane, command.replicator, to_millis(trial.faults_for),
                       seed);
  }
  return fmt::format("./qlab sim --module {} --mutant {}{} --faults-ms {:.0f} --replay {}",
                     trial.module, trial.mutant, trial.model ? " --model" : "",
                     to_millis(trial.faults_for), seed);
}

// What a CHECK that fails leaves behind: which seed it was. Made before each seed, as a signal
// handler may only write.
char words_of_abort[512];

void tell_seed(int) {
  const auto written = write(STDERR_FILENO, words_of_abort, std::strlen(words_of_abort));
  static_cast<void>(written);
}

void prepare_for_abort(const Command& command, std::uint64_t seed) {
  const auto words =
      fmt::format("seed {} aborted; replay: {}\n", seed, replay_command(command, seed));
  const std::size_t count = std::min(words.size(), sizeof words_of_abort - 1);
  std::copy_n(words.begin(), count, words_of_abort);
  words_of_abort[count] = 0;
}

// Of all seeds, or of those that one process has run.
struct Tally {
  std::uint64_t seeds = 0;
  std::uint64_t found = 0;
  double virtual_seconds = 0;
  ClusterReached reached = {};  // By clusters.
};

void count(const ClusterVerdict& verdict, Tally& tally) {
  tally.reached += verdict.reached;
}
void count(const Verdict&, Tally&) {}

template <class Verdict>
void take(const Command& command, std::uint64_t seed, const Verdict& verdict, Tally& tally) {
  const double runs = command.twice ? 2 : 1;
  ++tally.seeds;
  tally.virtual_seconds += runs * std::chrono::duration<double>(verdict.virtual_time).count();
  count(verdict, tally);
  if (command.json) fmt::print("{}\n", verdict.to_json());
  if (command.replays && !verdict.finding) fmt::print(stderr, "{}\n", verdict.to_json());
  if (!verdict.finding) return;
  ++tally.found;
  if (command.replays) fmt::print(stderr, "{}", verdict.recent_trace);
  fmt::print(stderr, "seed {}: {}\n  {}\n  replay: {}\n", seed, *verdict.finding, verdict.swarm,
             replay_command(command, seed));
}

void run_seed(const Command& command, std::uint64_t seed, Tally& tally) {
  prepare_for_abort(command, seed);
  if (command.cluster) {
    take(command, seed,
         command.twice ? run_cluster_twice(seed, *command.cluster)
                       : run_cluster_trial(seed, *command.cluster),
         tally);
  } else {
    take(command, seed,
         command.twice ? run_twice(seed, command.trial) : run_trial(seed, command.trial), tally);
  }
}

// Every `stride`-th seed. One with a terminal says now and then how far it is.
Tally run_share(const Command& command, std::uint64_t offset, std::uint64_t stride) {
  Tally tally;
  const bool tells = offset == 0 && isatty(STDERR_FILENO) != 0 && !command.replays;
  auto told = std::chrono::steady_clock::now();
  for (std::uint64_t seed = command.first + offset; seed < command.end; seed += stride) {
    run_seed(command, seed, tally);
    const auto now = std::chrono::steady_clock::now();
    if (!tells || now - told < std::chrono::seconds(1)) continue;
    told = now;
    fmt::print(stderr, "\r{} of {} seeds ", seed - command.first, command.end - command.first);
  }
  if (tells) fmt::print(stderr, "\r{:40}\r", "");
  return tally;
}

// A process per share; each sends its tally through a pipe. One that ends without has aborted, and
// has said in which seed.
Tally run_shares(const Command& command) {
  std::vector<int> ends;
  for (std::uint64_t job = 0; job < command.jobs; ++job) {
    int pipe_ends[2];
    if (pipe(pipe_ends) != 0) std::abort();
    const pid_t child = fork();
    if (child < 0) std::abort();
    if (child == 0) {
      close(pipe_ends[0]);
      const Tally tally = run_share(command, job, command.jobs);
      std::fflush(nullptr);
      const auto written = write(pipe_ends[1], &tally, sizeof tally);
      _exit(written == sizeof tally ? 0 : 1);
    }
    close(pipe_ends[1]);
    ends.push_back(pipe_ends[0]);
  }
  Tally all;
  for (const int end : ends) {
    Tally share;
    if (read(end, &share, sizeof share) != sizeof share) share = {.found = 1};
    close(end);
    all.seeds += share.seeds;
    all.found += share.found;
    all.virtual_seconds += share.virtual_seconds;
    all.reached += share.reached;
  }
  while (wait(nullptr) > 0) {
  }
  return all;
}

int run(const Command& command) {
  const auto begun = std::chrono::steady_clock::now();
  const Tally tally = command.jobs > 1 ? run_shares(command) : run_share(command, 0, 1);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  fmt::print(
      stderr,
      "{} seeds, {} with a finding; {:.0f} virtual seconds in {:.1f}: {:.1f} seeds/s, {:.0f} "
      "virtual seconds per second\n",
      tally.seeds, tally.found, tally.virtual_seconds, seconds,
      static_cast<double>(tally.seeds) / seconds, tally.virtual_seconds / seconds);
  if (command.cluster) fmt::print(stderr, "reached: {}\n", tally.reached.words());
  return tally.found == 0 ? 0 : 1;
}

// Tells how many seeds found the mutant. Returns whether one did. `seed`: at which it is.
bool find_mutant_here(const Command& command, std::uint64_t& seed) {
  std::optional<std::string> finding;
  for (; seed < command.end; ++seed) {
    prepare_for_abort(command, seed);
    finding = run_trial(seed, command.trial).finding;
    if (finding) break;
  }
  const std::string words = finding
                                ? fmt::format("{:5} seeds: {}", seed - command.first + 1, *finding)
                                : fmt::format("not found in {} seeds", command.end - command.first);
  fmt::print("{:22} {}\n", command.trial.mutant, words);
  return finding.has_value();
}

// A process per mutant: a CHECK that fails ends it, and has found the bug.
int find_mutants(Command command) {
  void* shared = mmap(nullptr, sizeof(std::uint64_t), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) std::abort();
  auto& seed = *static_cast<std::uint64_t*>(shared);
  int missed = 0;
  for (const std::string_view name : mutant_names()) {
    command.trial.mutant = name;
    if (name == "none" || command.trial.validate()) continue;
    seed = command.first;
    const pid_t child = fork();
    if (child < 0) std::abort();
    if (child == 0) {
      const bool found = find_mutant_here(command, seed);
      std::fflush(nullptr);
      _exit(found ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) {
      fmt::print("{:22} {:5} seeds: a CHECK failed\n", name, seed - command.first + 1);
    } else {
      missed += WEXITSTATUS(status) == 0 ? 0 : 1;
    }
  }
  return missed == 0 ? 0 : 1;
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
  if (command->elections > 0) {
    fmt::print("{}", qlab::sim::describe_elections(command->elections, command->first));
    return 0;
  }
  return command->mutants ? qlab::sim::find_mutants(*command) : qlab::sim::run(*command);
}
