#include "sim/swarm.h"

#include <algorithm>

namespace qlab::sim {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;

// Clocks that run apart by up to `drift` to either side differ by this, and a little more.
std::uint32_t difference_of(std::int64_t drift) {
  return static_cast<std::uint32_t>(2 * drift + drift / 4 + 100);
}

runtime::WorldOptions draw_world(Prng& random) {
  runtime::WorldOptions world;
  world.trace_lines_max = 0;
  world.network.most = microseconds(random.between(100, 20'000));
  world.network.slow_chance = random.chance(0.5) ? 0.01 : 0;
  world.network.slow_most = milliseconds(random.between(20, 500));
  world.disk_sync.most = microseconds(random.between(100, 10'000));
  world.disk_sync.slow_chance = random.chance(0.2) ? 0.1 : 0.01;
  world.disk_sync.slow_most = milliseconds(random.between(20, 500));
  world.link_silence_max = milliseconds(random.between(500, 5000));
  if (random.chance(0.5)) {
    world.clock_offset_max = hours(1);
    world.clock_drift_max_ppm = random.between(0, 50'000);
  }
  return world;
}

consensus::Tuning draw_tuning(Prng& random, const consensus::Capabilities& capabilities,
                              std::int64_t drift_ppm) {
  consensus::Tuning tuning;
  tuning.election_timeout = milliseconds(random.between(50, 1000));
  tuning.heartbeat_interval = tuning.election_timeout / random.between(3, 10);
  tuning.batch_bytes_max = std::size_t{1} << random.between(12, 20);
  // Little enough that an overloaded group catches up within the healing.
  tuning.uncommitted_bytes_max =
      tuning.batch_bytes_max * static_cast<std::size_t>(random.between(1, 16));
  tuning.inflight_messages_max = static_cast<std::size_t>(random.between(1, 64));
  tuning.inflight_bytes_max = std::size_t{1} << random.between(10, 24);
  tuning.snapshot_chunk_bytes = std::size_t{1} << random.between(6, 14);
  tuning.pre_vote = random.chance(0.7);
  tuning.check_quorum = random.chance(0.7);
  tuning.link_down_is_suspicion = random.chance(0.5);
  tuning.lease_reads = random.chance(0.5) && capabilities.lease_reads;
  tuning.clock_drift_ppm = difference_of(drift_ppm);
  tuning.forward_proposals = random.chance(0.5) && capabilities.forwarding;
  if (tuning.lease_reads) tuning.check_quorum = true;  // A lease is a promise of stickiness.
  return tuning;
}

void draw_uneven(Prng& random, Swarm& swarm) {
  for (const NodeId node : swarm.replica.nodes) {
    consensus::Tuning& mine =
        swarm.replica.uneven.emplace(node, swarm.replica.tuning).first->second;
    mine.batch_bytes_max = std::size_t{1} << random.between(12, 20);
    mine.inflight_messages_max = static_cast<std::size_t>(random.between(1, 64));
    if (mine.lease_reads) continue;  // A lease rests on all having the same timeout.
    mine.election_timeout = mine.election_timeout * random.between(8, 13) / 10;
    mine.pre_vote = random.chance(0.7);
    mine.link_down_is_suspicion = random.chance(0.5);
  }
}

// How long a piece of an image takes there and back, and longer than most do.
Duration way_of_a_piece(const runtime::WorldOptions& world) {
  const auto slow = [](const runtime::Delays& delay) {
    return delay.most + Duration(static_cast<std::int64_t>(
                            delay.slow_chance * static_cast<double>(delay.slow_most.count())));
  };
  return 2 * (slow(world.network) + slow(world.disk_sync));
}

// A replica must be able to get an image within ZAB's init_limit, as ZooKeeper asks of initLimit.
void allow_for_images(Swarm& swarm) {
  const auto allow = [&swarm](consensus::Tuning& tuning) {
    const std::size_t padding = swarm.replica.image_padding;
    tuning.snapshot_chunk_bytes = std::max(tuning.snapshot_chunk_bytes, padding / 64);
    const auto pieces = static_cast<std::int64_t>(2 + padding / tuning.snapshot_chunk_bytes);
    tuning.init_limit =
        std::max(2 * tuning.election_timeout, 2 * pieces * way_of_a_piece(swarm.world));
  };
  allow(swarm.replica.tuning);
  for (auto& [node, tuning] : swarm.replica.uneven) allow(tuning);
}

void draw_images(Prng& random, Swarm& swarm) {
  ReplicaOptions& replica = swarm.replica;
  replica.snapshot_interval_bytes = static_cast<std::uint64_t>(random.between(1000, 100'000));
  replica.snapshot_keep_entries = random.chance(0.3) ? 0 : random.below(200);
  replica.log_file_bytes = std::uint64_t{1} << random.between(12, 20);
  replica.image_padding = random.chance(0.5) ? random.below(20'000) : 0;
  allow_for_images(swarm);
}

void draw_members(Prng& random, const consensus::Capabilities& capabilities, Swarm& swarm) {
  const int counted =
      static_cast<int>(random.chance(0.7) ? random.between(3, 5) : random.between(1, 7));
  if (capabilities.witnesses && counted >= 3 && random.chance(0.4)) {
    swarm.witnesses = static_cast<int>(random.between(1, (counted - 1) / 2));
  }
  swarm.voters = counted - swarm.witnesses;
  swarm.observers = random.chance(0.6) ? 0 : static_cast<int>(random.between(1, 2));
  swarm.reconfigures = capabilities.reconfigure && random.chance(0.5);
  swarm.keyed = capabilities.named_disks && random.chance(0.7);
  if (swarm.reconfigures) swarm.spares = static_cast<int>(random.between(0, 2));
  consensus::Config& config = swarm.replica.config;
  if (capabilities.quorum_sizes && !swarm.reconfigures && random.chance(0.3)) {
    const auto n = static_cast<std::uint32_t>(counted);
    config.election_quorum = static_cast<std::uint32_t>(random.between(n / 2 + 1, n));
    config.commit_quorum =
        static_cast<std::uint32_t>(random.between(n - config.election_quorum + 1, n));
  }
  const bool weighted = capabilities.weighted_quorums && config.election_quorum == 0 &&
                        !swarm.reconfigures && random.chance(0.3);
  const int total = counted + swarm.observers + swarm.spares;
  for (int i = 1; i <= total; ++i) {
    const NodeId id(i);
    swarm.replica.nodes.push_back(id);
    if (i > counted + swarm.observers) continue;
    consensus::Member member{id};
    if (i > counted) member.role = consensus::MemberRole::observer;
    if (i > swarm.voters && i <= counted) member.role = consensus::MemberRole::witness;
    if (weighted) {
      member.weight = static_cast<std::uint32_t>(random.between(1, 3));
      member.group = static_cast<std::uint32_t>(random.between(0, counted / 3));
    }
    config.members.push_back(member);
  }
}

// Elections in which a vote that was forgotten is missed: candidates meet, and who has just voted
// is down and up again before the election is over. Little else happens in such a run, or the logs
// are too different for both to win.
void draw_contests(Prng& random, Swarm& swarm) {
  if (!random.chance(0.3)) return;
  swarm.contests = true;
  consensus::Tuning& tuning = swarm.replica.tuning;
  tuning.election_timeout = milliseconds(random.between(100, 200));
  tuning.election_spread = milliseconds(random.between(5, 50));
  tuning.heartbeat_interval = tuning.election_timeout / random.between(3, 10);
  tuning.pre_vote = random.chance(0.3);
  tuning.link_down_is_suspicion = random.chance(0.3);
  tuning.lease_reads = false;
  swarm.replica.uneven.clear();
  swarm.load_interval = milliseconds(random.between(50, 500));
}

}  // namespace

Swarm draw_swarm(Prng& random, const consensus::Capabilities& capabilities) {
  Swarm swarm;
  swarm.world = draw_world(random);
  ReplicaOptions& replica = swarm.replica;
  replica.engine = random.chance(0.5) ? "buffered" : "uring";
  replica.linger = random.chance(0.5) ? Duration{} : Duration(milliseconds(random.between(1, 5)));
  replica.tuning = draw_tuning(random, capabilities, swarm.world.clock_drift_max_ppm);
  draw_members(random, capabilities, swarm);
  if (random.chance(0.3)) draw_uneven(random, swarm);
  if (capabilities.snapshots && random.chance(0.7)) draw_images(random, swarm);
  if (!capabilities.needs_fifo_links && random.chance(0.3)) {
    replica.datagrams.lost = random.chance(0.7) ? random.unit() * 0.1 : 0;
    replica.datagrams.doubled = random.chance(0.7) ? random.unit() * 0.1 : 0;
    replica.datagrams.late = random.chance(0.7) ? random.unit() * 0.3 : 0;
    replica.datagrams.late_max = milliseconds(random.between(1, 500));
  }
  swarm.transfers = capabilities.transfer && random.chance(0.7);
  swarm.load_interval = microseconds(random.between(500, 50'000));
  // ZAB's votes are forgotten in a crash anyway, and no timeout that is drawn begins its elections.
  if (!capabilities.needs_fifo_links) draw_contests(random, swarm);
  swarm.read_chance = capabilities.reads ? random.unit() * 0.5 : 0;
  return swarm;
}

std::string Swarm::words() const {
  std::string all = fmt::format("{} voters", voters);
  const auto add = [&all](bool is, std::string what) {
    if (is) all += ", " + what;
  };
  const consensus::Tuning& tuning = replica.tuning;
  add(witnesses > 0, fmt::format("{} witnesses", witnesses));
  add(observers > 0, fmt::format("{} observers", observers));
  add(reconfigures, fmt::format("reconfigured with {} spares", spares));
  add(keyed, "disks named");
  add(replica.config.election_quorum > 0,
      fmt::format("quorums of {} and {}", replica.config.election_quorum,
                  replica.config.commit_quorum));
  add(replica.snapshot_interval_bytes > 0,
      fmt::format("an image per {} bytes", replica.snapshot_interval_bytes));
  add(replica.datagrams.late_max > Duration{}, "datagrams");
  add(!replica.uneven.empty(), "uneven");
  add(tuning.pre_vote, "pre_vote");
  add(tuning.check_quorum, "check_quorum");
  add(tuning.link_down_is_suspicion, "link_down_is_suspicion");
  add(tuning.lease_reads, "lease_reads");
  add(tuning.election_spread > Duration{},
      fmt::format("spread {:.1f} ms", to_millis(tuning.election_spread)));
  add(contests, "contested");
  add(tuning.forward_proposals, "forwarding");
  add(world.clock_drift_max_ppm > 0, fmt::format("drift {} ppm", world.clock_drift_max_ppm));
  return all +
         fmt::format(", timeout {:.0f} ms, {}", to_millis(tuning.election_timeout), replica.engine);
}

}  // namespace qlab::sim
