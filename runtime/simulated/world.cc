#include "runtime/simulated/world.h"

#include "common/check.h"

namespace qlab::runtime {
namespace {

// Far from the origin, so that no clock shows less than nothing.
constexpr Time world_start{std::chrono::seconds(1000)};

// More handlers than this at one instant, and the nodes wake each other for ever.
constexpr std::uint64_t handlers_per_instant_max = 10'000'000;

}  // namespace

SimulatedWorld::SimulatedWorld(std::uint64_t seed, WorldOptions options)
    : seed_(seed),
      options_(std::move(options)),
      random_(seed),
      queue_(world_start),
      journal_(options_.trace_lines_max, options_.trace_file),
      fabric_(queue_, journal_, options_, random_.fork()) {
  journal_.fold(seed);
}

SimulatedWorld::~SimulatedWorld() = default;

SimulatedNode& SimulatedWorld::node(NodeId id) {
  auto& node = nodes_[id];
  if (!node) {
    // From seed and id alone: it does not matter when a node is first used.
    Prng random(Prng(seed_).next() ^ static_cast<std::uint64_t>(id.value() + 1));
    node = std::make_unique<SimulatedNode>(id, queue_, journal_, fabric_, options_, random);
  }
  return *node;
}

Runtime& SimulatedWorld::OneShard::shard(std::size_t index) {
  CHECK(index == 0);
  return runtime_;
}

Shards& SimulatedWorld::shards(NodeId id) {
  return shards_.try_emplace(id, node(id)).first->second;
}

void SimulatedWorld::boot(NodeId id, const Boot& boot) {
  CHECK_MSG(!in_node_, "a node is booted by its world, between events");
  node(id).boot(boot);
}

void SimulatedWorld::crash(NodeId id, CrashOptions how) {
  CHECK_MSG(!in_node_, "a node is crashed by its world, between events");
  node(id).crash(how);
}

void SimulatedWorld::restart(NodeId id, const Boot& boot, CrashOptions how) {
  if (node(id).is_up()) crash(id, how);
  this->boot(id, boot);
}

void SimulatedWorld::settle() {
  strike_doomed();
  std::uint64_t handlers = 0;
  for (bool progress = true; progress;) {
    progress = false;
    for (const auto& [id, node] : nodes_) {
      in_node_ = true;
      while (node->run_one()) {
        progress = true;
        CHECK_MSG(++handlers < handlers_per_instant_max,
                  fmt::format("the world does not come to rest at {} ns",
                              now().time_since_epoch().count()));
      }
      in_node_ = false;
    }
    strike_doomed();
  }
}

void SimulatedWorld::strike_doomed() {
  for (const auto& [id, node] : nodes_) {
    if (node->is_doomed()) node->crash(node->doom_options());
  }
}

bool SimulatedWorld::step() {
  settle();
  if (queue_.empty()) return false;
  const auto [due, sequence] = queue_.run_next();
  ++events_;
  journal_.fold(static_cast<std::uint64_t>(due.time_since_epoch().count()));
  journal_.fold(sequence);
  settle();
  if (observer_) observer_();
  return true;
}

void SimulatedWorld::run_until(Time end) {
  settle();
  while (queue_.next_due() <= end) step();
  if (queue_.now() < end) queue_.advance(end);
}

Result<void> SimulatedWorld::run_until(const std::function<bool()>& holds, Duration limit) {
  const Time end = now() + limit;
  settle();
  while (!holds()) {
    if (queue_.empty()) {
      return fail(Errc::aborted, "the world is idle and what was waited for has not come; {}",
                  state_of_nodes());
    }
    if (queue_.next_due() > end) {
      return fail(Errc::timed_out, "not within {} ms of virtual time; {}", to_millis(limit),
                  state_of_nodes());
    }
    step();
  }
  return {};
}

std::string SimulatedWorld::state_of_nodes() {
  std::string words = fmt::format("seed {}", seed_);
  for (const auto& [id, node] : nodes_) {
    words += fmt::format(", node {}: {}, {} coroutines wait", id,
                         !node->is_up()      ? "down"
                         : node->is_paused() ? "paused"
                                             : "up",
                         node->coroutines_waiting());
  }
  return words;
}

std::string SimulatedWorld::recent_trace() const {
  std::string all;
  for (const std::string& line : journal_.last_lines()) all += line;
  return all;
}

}  // namespace qlab::runtime
