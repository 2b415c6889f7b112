#include "sim/replica.h"

#include "common/check.h"
#include "sim/probe.h"

namespace qlab::sim {

using consensus::Driver;
using consensus::Entry;
using consensus::EntryKind;
using runtime::LinkEpoch;
using runtime::Task;

Bytes AppendRegister::body_of(std::uint64_t value, std::size_t padding) {
  BytesWriter body;
  body.put(value);
  body.put_bytes(Bytes(padding, std::byte{0x5A}));
  return body.take();
}

void AppendRegister::apply(const std::vector<Entry>& entries) {
  for (const Entry& entry : entries) {
    CHECK(entry.id.index == last_.id.index.next());
    last_ = {entry.id, chain_after(last_.chain, entry)};
    std::optional<std::uint64_t> value;
    if (entry.kind == EntryKind::data) value = BytesReader(*entry.body).get<std::uint64_t>();
    if (!node_.is_up()) continue;
    history_.fresh.applied.push_back({node_.id(), std::max(epoch_, entry.id.epoch), last_, value});
  }
}

void AppendRegister::activate(Epoch epoch) {
  CHECK(!active_);
  active_ = epoch;
}

void AppendRegister::deactivate(Epoch epoch) {
  CHECK(active_ == epoch);
  active_.reset();
}

void AppendRegister::on_leader_known(Epoch epoch, std::optional<NodeId>) {
  CHECK(epoch >= epoch_);
  epoch_ = epoch;
}

Replica::Replica(runtime::SimulatedNode& node, History& history, const ReplicaOptions& options)
    : node_(node), history_(history), options_(options), register_(node, history), gate_(node) {
  gate_.start([this] { return come_up(); });
}

DirectoryId Replica::directory_of(NodeId node) {
  return Uuid{0x51AB, static_cast<std::uint64_t>(node.value())};
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

Task<void> Replica::come_up() {
  auto engine = storage::make_engine(options_.engine, node_);
  CHECK(engine.has_value());
  engine_ = std::move(*engine);
  consensus::DriverOptions options;
  options.self = {node_.id(), directory_of(node_.id())};
  options.config = options_.config;
  options.tuning = options_.tuning;
  options.directory = "group";
  options.linger = options_.linger;
  consensus::ModuleFactory factory = [this](consensus::ModuleContext context) {
    return std::make_unique<Probe>(options_.module(context), node_, options_.mutant, history_,
                                   context.recovery, context.log);
  };
  auto driver = co_await Driver::open(node_, *engine_, register_, factory, std::move(options));
  if (!driver) {
    refuse("open", driver.error());
    co_return;
  }
  driver_ = std::move(*driver);
  runtime::TransportIdentity identity;
  identity.node = node_.id();
  identity.listen = {"localhost", 9192};
  for (const consensus::Member& member : options_.config.members) {
    identity.peers[member.id] = {runtime::SimulatedNode::host_name(member.id), 9192};
  }
  const auto started = co_await node_.transport().start(std::move(identity), *this, nullptr);
  CHECK(started.has_value());
  driver_->start([this](Error why) { refuse("run", why); });
}

void Replica::on_message(NodeId from, LinkEpoch link, runtime::Channel, Bytes payload) {
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
  const auto result = co_await driver_->propose(std::move(bodies), std::nullopt);
  if (node_.is_up()) history_.fresh.answered.push_back({first_value, count, result});
}

void Replica::read() {
  gate_.start([this] { return read_now(); });
}

Task<void> Replica::read_now() {
  const LogIndex acked = history_.acked;
  const auto ready = co_await driver_->read_barrier();
  if (ready && node_.is_up())
    history_.fresh.reads.push_back({node_.id(), acked, register_.last().id.index});
}

void Replica::resign() {
  driver_->resign(status().epoch);
}

}  // namespace qlab::sim
