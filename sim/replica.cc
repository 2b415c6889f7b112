#include "sim/replica.h"

#include "common/check.h"
#include "sim/probe.h"

namespace qlab::sim {

using consensus::Driver;
using runtime::LinkEpoch;
using runtime::Task;

Replica::Replica(runtime::SimulatedNode& node, History& history, const ReplicaOptions& options)
    : node_(node),
      history_(history),
      options_(options),
      random_(node.random().fork()),
      register_(node, history, options.image_padding),
      gate_(node) {
  gate_.start([this] { return come_up(); });
}

void Replica::refuse(std::string_view where, const Error& why) {
  if (!node_.is_up()) return;
  node_.trace().emit("replica_gave_up", {{"where", where}, {"why", why.context}});
  // A fault of the disk is allowed to end a process; anything else is not.
  if (why.code != Errc::io && why.code != Errc::no_space) {
    history_.fresh.refused.push_back({node_.id(), why.message()});
  }
  node_.doom({});
}

consensus::DriverOptions Replica::driver_options() const {
  consensus::DriverOptions options;
  options.self = {node_.id(), history_.directories.at(node_.id())};
  options.config = options_.config;
  const auto uneven = options_.uneven.find(node_.id());
  options.tuning = uneven == options_.uneven.end() ? options_.tuning : uneven->second;
  // A node with an empty disk finds none of what the one before had.
  options.directory = fmt::format("group-{}", options.self.directory.high);
  options.linger = options_.linger;
  options.trace = options_.trace;
  options.snapshot_interval_bytes = options_.snapshot_interval_bytes;
  options.snapshot_keep_entries = options_.snapshot_keep_entries;
  options.log_file_bytes = options_.log_file_bytes;
  return options;
}

Task<void> Replica::come_up() {
  auto engine = storage::make_engine(options_.engine, node_);
  CHECK(engine.has_value());
  engine_ = std::move(*engine);
  consensus::ModuleFactory factory = [this](consensus::ModuleContext context) {
    auto module = make_mutant(options_.mutant, options_.module, context, options_.config);
    return std::make_unique<Probe>(std::move(module), node_, history_, context, options_.model);
  };
  auto driver = co_await Driver::open(node_, *engine_, register_, factory, driver_options());
  if (!driver) {
    refuse("open", driver.error());
    co_return;
  }
  driver_ = std::move(*driver);
  runtime::TransportIdentity identity;
  identity.node = node_.id();
  identity.listen = {"localhost", 9192};
  for (const NodeId peer : options_.nodes) {
    identity.peers[peer] = {runtime::SimulatedNode::host_name(peer), 9192};
  }
  const auto started = co_await node_.transport().start(std::move(identity), *this, nullptr);
  CHECK(started.has_value());
  driver_->start([this](Error why) { refuse("run", why); });
}

void Replica::on_message(NodeId from, LinkEpoch link, runtime::Channel, Bytes payload) {
  const Datagrams& datagrams = options_.datagrams;
  if (datagrams.lost > 0 && random_.chance(datagrams.lost)) return;
  if (datagrams.doubled > 0 && random_.chance(datagrams.doubled)) {
    driver_->receive(from, link, payload);
  }
  if (datagrams.late > 0 && random_.chance(datagrams.late)) {
    const Duration delay(random_.between(0, datagrams.late_max.count()));
    node_.call_at(node_.now() + delay, [this, from, link, payload = std::move(payload)] {
      driver_->receive(from, link, payload);
    });
    return;
  }
  driver_->receive(from, link, std::move(payload));
}

void Replica::on_link_up(NodeId peer, LinkEpoch link) {
  driver_->link_up(peer, link);
}
void Replica::on_link_down(NodeId peer, LinkEpoch link) {
  driver_->link_down(peer, link);
}

void Replica::propose(std::uint64_t first_value, std::vector<Bytes> bodies) {
  gate_.start(
      [this, first_value, bodies = std::move(bodies)] { return propose_now(first_value, bodies); });
}

Task<void> Replica::propose_now(std::uint64_t first_value, std::vector<Bytes> bodies) {
  const std::uint64_t count = bodies.size();
  const LogIndex done = history_.done;
  const auto result = co_await driver_->propose(std::move(bodies), std::nullopt);
  if (node_.is_up()) history_.fresh.answered.push_back({first_value, count, result, done});
}

void Replica::read() {
  gate_.start([this] { return read_now(); });
}

Task<void> Replica::read_now() {
  const LogIndex done = history_.done;
  const auto ready = co_await driver_->read_barrier();
  if (!ready || !node_.is_up() || register_.is_blind()) co_return;
  history_.fresh.reads.push_back({node_.id(), done, register_.applied(), register_.state()});
}

void Replica::reconfigure(consensus::Config target) {
  gate_.start([this, target = std::move(target)] { return reconfigure_now(target); });
}

Task<void> Replica::reconfigure_now(consensus::Config target) {
  const auto asked = std::pair{node_.id(), ++history_.configs_asked};
  history_.asked.emplace(asked, target);
  const auto done = co_await driver_->reconfigure(std::move(target));
  if (node_.is_up()) history_.asked.erase(asked);
  node_.trace().emit("reconfigured", {{"ok", done.has_value()},
                                      {"why", done ? std::string() : done.error().context}});
}

void Replica::transfer(std::optional<NodeId> to) {
  gate_.start([this, to] { return transfer_now(to); });
}

Task<void> Replica::transfer_now(std::optional<NodeId> to) {
  const auto done = co_await driver_->transfer(to);
  node_.trace().emit("transferred", {{"ok", done.has_value()},
                                     {"why", done ? std::string() : done.error().context}});
}

void Replica::resign() {
  driver_->resign(status().epoch);
}

}  // namespace qlab::sim
