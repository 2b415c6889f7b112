#include "runtime/simulated/fabric.h"

#include <algorithm>

#include "common/check.h"
#include "runtime/simulated/node.h"

namespace qlab::runtime {

Pipe::Pipe(Fabric& fabric, NodeId from, NodeId to, Receiver receiver, Time not_before)
    : fabric_(fabric),
      from_(from),
      to_(to),
      receiver_(std::move(receiver)),
      last_arrival_(not_before) {}

void Pipe::push(Item item) {
  last_arrival_ = std::max(last_arrival_, fabric_.queue().now() + fabric_.delay(from_, to_));
  item.due = last_arrival_;
  fabric_.queue().at(item.due, [self = shared_from_this()] { self->pump(); });
  items_.push_back(std::move(item));
}

void Pipe::send(std::uint8_t tag, Bytes bytes) {
  if (!closed_) push({.due = {}, .tag = tag, .bytes = std::move(bytes)});
}

void Pipe::finish() {
  if (std::exchange(closed_, true)) return;
  push({.due = {}, .tag = 0, .bytes = {}, .is_end = true});
}

void Pipe::cut() {
  closed_ = true;
  items_.resize(fabric_.random().below(items_.size() + 1));
}

void Pipe::break_off() {
  if (std::exchange(broken_, true)) return;
  cut();
  push({.due = {}, .tag = 0, .bytes = {}, .is_end = true});
}

void Pipe::pump() {
  while (!items_.empty() && items_.front().due <= fabric_.queue().now()) {
    const bool blocked = fabric_.is_blocked(from_, to_);
    if (blocked && !broken_) return;
    Item item = std::move(items_.front());
    items_.pop_front();
    if (item.is_end) {
      items_.clear();
      // What it captures may own this pipe.
      if (const auto ended = std::exchange(receiver_.ended, nullptr)) ended();
      return;
    }
    if (blocked) continue;
    fabric_.journal().fold(item.bytes);
    receiver_.arrived(item.tag, std::move(item.bytes));
  }
}

Fabric::Fabric(EventQueue& queue, Journal& journal, const WorldOptions& options, Prng random)
    : queue_(queue), journal_(journal), options_(options), random_(random) {}

void Fabric::add(SimulatedNode& node) {
  hosts_.emplace(node.host(), &node);
}

void Fabric::add(const std::shared_ptr<Circuit>& circuit) {
  std::erase_if(circuits_, [](const auto& c) { return c.expired(); });
  circuits_.push_back(circuit);
}

SimulatedNode* Fabric::find(std::string_view host, SimulatedNode& asker) const {
  if (host == "localhost" || host == "127.0.0.1" || host == "0.0.0.0") return &asker;
  const auto found = hosts_.find(host);
  return found == hosts_.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<Circuit>> Fabric::circuits() {
  std::vector<std::shared_ptr<Circuit>> alive;
  for (const auto& weak : circuits_) {
    if (auto circuit = weak.lock()) alive.push_back(std::move(circuit));
  }
  return alive;
}

void Fabric::break_later(const std::weak_ptr<Circuit>& circuit, Duration delay) {
  queue_.after(delay, [circuit] {
    if (const auto alive = circuit.lock()) alive->break_off();
  });
}

void Fabric::block(NodeId from, NodeId to) {
  const auto [at, is_new] = blocked_.try_emplace({from, to}, last_block_ + 1);
  if (!is_new) return;
  ++last_block_;
  queue_.after(options_.link_silence_max, [this, from, to, block = last_block_] {
    const auto found = blocked_.find({from, to});
    if (found != blocked_.end() && found->second == block) break_between(from, to);
  });
}

void Fabric::unblock(NodeId from, NodeId to) {
  if (blocked_.erase({from, to}) == 0) return;
  for (const auto& circuit : circuits()) {
    if (circuit->touches(from) && circuit->other(from) == to) circuit->pump();
  }
}

void Fabric::heal() {
  slow_.clear();
  const auto blocked = blocked_;
  for (const auto& [pair, block] : blocked) unblock(pair.first, pair.second);
}

void Fabric::break_between(NodeId a, NodeId b) {
  for (const auto& circuit : circuits()) {
    if (circuit->touches(a) && circuit->other(a) == b) circuit->break_off();
  }
}

void Fabric::node_died(SimulatedNode& node, bool silent) {
  for (const auto& circuit : circuits()) {
    if (!circuit->touches(node.id())) continue;
    const NodeId other = circuit->other(node.id());
    circuit->cut_from(node.id());
    const bool heard = !silent && !is_blocked(node.id(), other);
    break_later(circuit, heard ? delay(node.id(), other) : options_.link_silence_max);
  }
}

void Fabric::node_boots(NodeId node) {
  for (const auto& circuit : circuits()) {
    if (circuit->touches(node)) break_later(circuit, delay(node, circuit->other(node)));
  }
}

Result<Endpoint> Fabric::bind(SimulatedNode& node, const Endpoint& wanted, Port port) {
  if (find(wanted.host, node) != &node) {
    return fail(Errc::invalid, "{} is not an address of {}", wanted.host, node.host());
  }
  Endpoint endpoint{node.host(), wanted.port};
  if (wanted.port == 0) {
    endpoint.port = 32768;  // Where Linux looks, too.
    while (ports_.contains(endpoint)) ++endpoint.port;
  }
  if (!ports_.emplace(endpoint, port).second) {
    return fail(Errc::exists, "port {} of {} is in use", endpoint.port, endpoint.host);
  }
  return endpoint;
}

Fabric::Port Fabric::at(const Endpoint& endpoint) const {
  const auto found = ports_.find(endpoint);
  return found == ports_.end() ? Port{} : found->second;
}

Duration Fabric::delay(NodeId from, NodeId to) {
  const auto slow = slow_.find({from, to});
  return options_.network.draw(random_) + (slow == slow_.end() ? Duration{} : slow->second);
}

}  // namespace qlab::runtime
