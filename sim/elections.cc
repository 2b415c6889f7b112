#include "sim/elections.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "common/check.h"
#include "sim/group.h"
#include "sim/invariants.h"
#include "sim/modules.h"

namespace qlab::sim {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

constexpr int servers = 5;

Swarm quiet_swarm(const ElectionSetting& setting) {
  Swarm swarm;
  swarm.voters = servers;
  swarm.world.network = {setting.latency, setting.latency};
  swarm.world.disk_write = swarm.world.disk_sync = {Duration(1), Duration(1)};
  swarm.world.link_silence_max = hours(1000);
  swarm.world.trace_lines_max = 0;
  consensus::Tuning& tuning = swarm.replica.tuning;
  tuning.election_timeout = setting.timeout_min;
  tuning.election_spread = setting.timeout_spread;
  tuning.heartbeat_interval = setting.timeout_min / 2;
  tuning.pre_vote = tuning.check_quorum = tuning.link_down_is_suspicion = false;
  for (int i = 1; i <= servers; ++i) {
    swarm.replica.nodes.emplace_back(i);
    swarm.replica.config.members.push_back({NodeId(i)});
  }
  return swarm;
}

class Bench {
 public:
  Bench(const ElectionSetting& setting, std::uint64_t seed)
      : setting_(setting),
        random_(seed),
        world_(random_.next(), quiet_swarm(setting).world),
        group_(world_, with_module(quiet_swarm(setting)), {}) {
    world_.observe([this] {
      const Finding finding = judge(group_.history());
      CHECK_MSG(!finding, *finding);
    });
  }

  Duration time_one() {
    // Long enough that whoever was cut off last has heard of the leader, and all run with it.
    world_.run_for(setting_.timeout_min * 20);
    const auto led = [this] { return !group_.history().leaders.empty(); };
    CHECK(world_.run_until(led, hours(1)).has_value());
    const auto [epoch, leader] = *group_.history().leaders.rbegin();
    world_.run_for(Duration(random_.between(0, setting_.timeout_min.count() / 2 - 1)));
    if (group_.history().leaders.rbegin()->first != epoch) return time_one();
    for (const NodeId other : group_.nodes()) {
      if (other == leader) continue;
      world_.fabric().block(leader, other);
      world_.fabric().block(other, leader);
    }
    const Time cut = world_.now();
    const auto replaced = [&, before = epoch] {
      return group_.history().leaders.rbegin()->first > before;
    };
    CHECK(world_.run_until(replaced, hours(1)).has_value());
    const Duration took = world_.now() - cut;
    world_.fabric().heal();
    return took;
  }

 private:
  static Swarm with_module(Swarm swarm) {
    swarm.replica.module = find_module("raft").value();
    return swarm;
  }

  const ElectionSetting setting_;
  Prng random_;
  runtime::SimulatedWorld world_;
  Group group_;
};

}  // namespace

std::vector<Duration> time_elections(const ElectionSetting& setting, std::size_t trials,
                                     std::uint64_t seed) {
  constexpr std::size_t trials_per_world = 100;  // A history keeps all that ever was.
  std::vector<Duration> times;
  while (times.size() < trials) {
    Bench bench(setting, seed++);
    for (std::size_t i = 0; i < trials_per_world && times.size() < trials; ++i) {
      times.push_back(bench.time_one());
    }
  }
  std::sort(times.begin(), times.end());
  return times;
}

double expected_election_millis(const ElectionSetting& setting) {
  CHECK(setting.latency < setting.timeout_spread);
  const double base = to_millis(setting.timeout_min);
  const double spread = to_millis(setting.timeout_spread);
  const double latency = to_millis(setting.latency);
  const double l = latency / spread;
  const double splits =
      6 * std::pow(l, 2) * std::pow(1 - l, 2) + 4 * std::pow(l, 3) * (1 - l) + std::pow(l, 4);
  return (base + spread / 5 + latency) / (1 - splits) + latency - base / 4;
}

std::string describe_elections(std::size_t trials, std::uint64_t seed) {
  std::string table =
      "timeouts, one way   trials   mean   closed form   1%   10%   50%   90%   99%  99.9%  "
      "worst\n";
  for (const auto& [spread, micros] :
       {std::pair{5, 1000}, {5, 2500}, {50, 2500}, {50, 5000}, {150, 2500}, {150, 7500}}) {
    const ElectionSetting setting{.timeout_spread = milliseconds(spread),
                                  .latency = std::chrono::microseconds(micros)};
    const std::vector<Duration> times = time_elections(setting, trials, seed);
    const Duration sum = std::accumulate(times.begin(), times.end(), Duration{});
    table += fmt::format(
        "150-{} ms, {:.1f} ms {:10} {:6.1f} {:13.1f}", 150 + spread, to_millis(setting.latency),
        trials, to_millis(sum) / static_cast<double>(trials), expected_election_millis(setting));
    for (const double quantile : {0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0}) {
      const auto at = static_cast<std::size_t>(quantile * static_cast<double>(trials - 1));
      table += fmt::format(" {:5.0f}", to_millis(times[at]));
    }
    table += "\n";
  }
  return table;
}

}  // namespace qlab::sim
