#include "sim/trial.h"

#include "common/check.h"
#include "sim/invariants.h"
#include "sim/modules.h"
#include "sim/mutants.h"
#include "sim/nemesis.h"

namespace qlab::sim {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;

runtime::WorldOptions draw_world(Prng& random, const TrialOptions& options) {
  runtime::WorldOptions world;
  world.trace_lines_max = 60;
  world.trace_file = options.trace_file;
  world.network.most = microseconds(random.between(100, 20'000));
  world.network.slow_chance = random.chance(0.5) ? 0.01 : 0;
  world.network.slow_most = milliseconds(random.between(20, 500));
  world.disk_sync.most = microseconds(random.between(100, 10'000));
  world.disk_sync.slow_most = milliseconds(random.between(20, 500));
  world.link_silence_max = milliseconds(random.between(500, 5000));
  if (random.chance(0.5)) {
    world.clock_offset_max = hours(1);
    world.clock_drift_max_ppm = random.between(0, 50'000);
  }
  return world;
}

ReplicaOptions draw_replica(Prng& random, const TrialOptions& options) {
  ReplicaOptions replica;
  auto module = find_module(options.module);
  CHECK(module.has_value());
  replica.module = std::move(*module);
  replica.mutant = *find_mutant(options.mutant);
  replica.engine = random.chance(0.5) ? "buffered" : "uring";
  replica.linger = random.chance(0.5) ? Duration{} : Duration(milliseconds(random.between(1, 5)));
  consensus::Tuning& tuning = replica.tuning;
  tuning.election_timeout = milliseconds(random.between(50, 1000));
  tuning.heartbeat_interval = tuning.election_timeout / random.between(3, 10);
  tuning.batch_bytes_max = std::size_t{1} << random.between(12, 20);
  // Little enough that an overloaded group catches up within the healing.
  tuning.uncommitted_bytes_max =
      tuning.batch_bytes_max * static_cast<std::size_t>(random.between(1, 16));
  tuning.inflight_messages_max = static_cast<std::size_t>(random.between(1, 64));
  tuning.pre_vote = random.chance(0.7);
  tuning.check_quorum = random.chance(0.7);
  tuning.link_down_is_suspicion = random.chance(0.5);
  return replica;
}

void take_counts(Verdict& verdict, const runtime::SimulatedWorld& world, const History& history,
                 const Nemesis& nemesis, Time begun) {
  verdict.digest = world.digest();
  verdict.events = world.events();
  verdict.virtual_time = world.now() - begun;
  verdict.leaders = history.leaders.size();
  verdict.crashes = nemesis.crashes();
  verdict.proposed = history.proposed;
  verdict.committed = history.committed.size();
  verdict.reads = history.reads_served;
}

}  // namespace

std::optional<std::string> TrialOptions::validate() const {
  if (const auto found = find_module(module); !found) return found.error().context;
  if (const auto found = find_mutant(mutant); !found) return found.error().context;
  for (const auto& [name, value] :
       {std::pair{"faults-for", faults_for}, std::pair{"healing-max", healing_max}}) {
    if (value > Duration{} && value <= hours(1)) continue;
    return fmt::format("{}={} ms is not in (0, 3600000]", name, to_millis(value));
  }
  return std::nullopt;
}

Verdict run_trial(std::uint64_t seed, const TrialOptions& options) {
  Prng random(seed);
  const auto world_options = draw_world(random, options);
  runtime::SimulatedWorld world(random.next(), world_options);
  Group group(world, static_cast<int>(random.between(3, 5)), static_cast<int>(random.below(2)),
              draw_replica(random, options));
  Nemesis nemesis(group);
  Verdict verdict;
  verdict.seed = seed;
  world.observe([&] {
    if (!verdict.finding) verdict.finding = judge(group.history());
  });

  const Time begun = world.now();
  group.begin_load(microseconds(random.between(500, 50'000)));
  nemesis.begin();
  const auto found = [&] { return verdict.finding.has_value(); };
  // The end of the time is no error here.
  static_cast<void>(world.run_until(found, options.faults_for));

  if (!found()) {
    nemesis.heal();
    group.begin_load(milliseconds(500));
    // A replica whose disk has just failed for the last time comes up, too.
    const std::size_t before = group.history().committed.size();
    const auto converged = world.run_until(
        [&] {
          group.boot_all();
          return found() || (group.history().committed.size() > before && group.has_converged());
        },
        options.healing_max);
    if (!converged) {
      verdict.finding = "the_group_recovers: " + converged.error().context;
    }
  }
  take_counts(verdict, world, group.history(), nemesis, begun);
  if (verdict.finding) verdict.recent_trace = world.recent_trace();
  return verdict;
}

Verdict run_twice(std::uint64_t seed, const TrialOptions& options) {
  const Verdict first = run_trial(seed, options);
  Verdict second = run_trial(seed, options);
  if (first.digest == second.digest && first.events == second.events &&
      first.finding == second.finding) {
    return second;
  }
  second.finding =
      fmt::format("runs_are_deterministic: {} events with digest {:x}, and then {} with {:x}",
                  first.events, first.digest, second.events, second.digest);
  return second;
}

std::string Verdict::to_json() const {
  std::string words;
  for (const char c : finding.value_or("")) {
    if (c == '"' || c == '\\') words += '\\';
    words += c;
  }
  return fmt::format(
      "{{\"seed\":{},\"ok\":{},\"finding\":\"{}\",\"digest\":\"{:016x}\",\"events\":{},"
      "\"virtual_ms\":{:.0f},\"leaders\":{},\"crashes\":{},\"proposed\":{},\"committed\":{},"
      "\"reads\":{}}}",
      seed, !finding, words, digest, events, to_millis(virtual_time), leaders, crashes, proposed,
      committed, reads);
}

}  // namespace qlab::sim
