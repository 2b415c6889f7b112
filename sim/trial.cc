#include "sim/trial.h"

#include "common/check.h"
#include "sim/invariants.h"
#include "sim/modules.h"
#include "sim/mutants.h"
#include "sim/nemesis.h"

namespace qlab::sim {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

void take_counts(Verdict& verdict, const runtime::SimulatedWorld& world, const History& history,
                 const Nemesis& nemesis, Time begun) {
  verdict.digest = world.digest();
  verdict.events = world.events();
  verdict.virtual_time = world.now() - begun;
  verdict.leaders = history.leaders.size();
  verdict.crashes = nemesis.crashes();
  verdict.wipes = history.wiped.size();
  verdict.proposed = history.proposed;
  verdict.committed = history.committed.size();
  verdict.reads = history.reads_served;
  verdict.images = history.images_installed;
  verdict.configs = history.configs_changed;
}

}  // namespace

std::optional<std::string> TrialOptions::validate() const {
  if (const auto found = find_module(module); !found) return found.error().context;
  const auto bug = find_mutant(mutant);
  if (!bug) return bug.error().context;
  const auto fits = check_mutant(*bug, capabilities_of(*find_module(module)));
  if (!fits)
    return fmt::format("mutant={} with module={}: {}", mutant, module, fits.error().context);
  for (const auto& [name, value] :
       {std::pair{"faults-for", faults_for}, std::pair{"healing-max", healing_max}}) {
    if (value > Duration{} && value <= hours(1)) continue;
    return fmt::format("{}={} ms is not in (0, 3600000]", name, to_millis(value));
  }
  return std::nullopt;
}

Verdict run_trial(std::uint64_t seed, const TrialOptions& options) {
  Prng random(seed);
  const auto module = find_module(options.module);
  CHECK(module.has_value());
  const consensus::Capabilities capabilities = capabilities_of(*module);
  Swarm swarm = draw_swarm(random, capabilities);
  swarm.world.trace_lines_max = options.trace_lines;
  swarm.world.trace_file = options.trace_file;
  swarm.replica.module = *module;
  if (!options.trace_file.empty()) {
    swarm.replica.trace = {
        .details = true, .entries_every = 1, .describe = *find_words(options.module)};
  }
  swarm.replica.mutant = *find_mutant(options.mutant);
  if (options.model) swarm.replica.model = *make_model(options.module);
  runtime::SimulatedWorld world(random.next(), swarm.world);
  Verdict verdict;
  verdict.seed = seed;
  verdict.swarm = swarm.words();
  Group group(world, std::move(swarm), capabilities);
  Nemesis nemesis(group);
  world.observe([&] {
    if (!verdict.finding) verdict.finding = judge(group.history());
  });

  const Time begun = world.now();
  group.begin_load(group.swarm().load_interval);
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
      verdict.finding = fmt::format("the_group_recovers: not within {:.0f} ms: {}",
                                    to_millis(options.healing_max), group.words_of_state());
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
      "\"virtual_ms\":{:.0f},\"leaders\":{},\"crashes\":{},\"wipes\":{},\"proposed\":{},"
      "\"committed\":{},"
      "\"reads\":{},\"images\":{},\"configs\":{},\"swarm\":\"{}\"}}",
      seed, !finding, words, digest, events, to_millis(virtual_time), leaders, crashes, wipes,
      proposed, committed, reads, images, configs, swarm);
}

}  // namespace qlab::sim
