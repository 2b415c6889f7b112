#include "consensus/step_world.h"

#include <algorithm>

#include "common/check.h"
#include "consensus/config.h"

namespace qlab::consensus {

StepWorld::StepWorld(Factory factory, Options options)
    : factory_(std::move(factory)), options_(std::move(options)), random_(options_.seed) {}

void StepWorld::add(NodeId id) {
  Node node;
  node.key = {id, Uuid::from_random(random_.next(), random_.next())};
  CHECK(nodes_.emplace(id, std::move(node)).second);
  start(id);
}

void StepWorld::start(NodeId id) {
  Node& node = nodes_.at(id);
  CHECK(node.module == nullptr);
  node.log = node.disk_log;
  node.issued = node.durable = WriteSeq{0};
  node.commit = node.log.snapshot().last.index;
  node.active.reset();
  node.module = factory_(ModuleContext{
      node.key, options_.tuning,
      Recovery{node.disk_hard_state, config_of(node, node.log.last().index, options_.config),
               node.commit, config_of(node, node.commit, options_.config)},
      node.log, random_.fork(), now_});
  for (const auto& [peer, other] : nodes_) {
    if (peer != id && other.module != nullptr) connect(id, peer);
  }
}

void StepWorld::restart(NodeId id) {
  start(id);
}

void StepWorld::crash(NodeId id) {
  for (const auto& [peer, other] : nodes_) {
    if (peer != id) disconnect(id, peer);
  }
  Node& node = nodes_.at(id);
  node.module.reset();
  node.writes.clear();
  node.held.clear();
  node.reads.clear();
  node.links.clear();
}

void StepWorld::wipe(NodeId id) {
  crash(id);
  Node& node = nodes_.at(id);
  node.key.directory = Uuid::from_random(random_.next(), random_.next());
  node.disk_log = {};
  node.disk_hard_state = {};
}

void StepWorld::connect(NodeId a, NodeId b) {
  for (const auto& [from, to] : {std::pair{a, b}, std::pair{b, a}}) {
    Node& node = nodes_.at(from);
    if (node.module == nullptr || !is_up(to) || node.links.contains(to)) continue;
    node.links[to] = ++links_made_;
    step(from, in::LinkUp{to, node.links[to]});
  }
}

void StepWorld::disconnect(NodeId a, NodeId b) {
  for (const auto& [from, to] : {std::pair{a, b}, std::pair{b, a}}) {
    queues_[{from, to}].clear();
    Node& node = nodes_.at(from);
    const auto link = node.links.find(to);
    if (link == node.links.end()) continue;
    const std::uint32_t number = link->second;
    node.links.erase(link);
    if (node.module != nullptr) step(from, in::LinkDown{to, number});
  }
}

void StepWorld::step(NodeId id, const Input& input) {
  Node& node = nodes_.at(id);
  CHECK(node.module != nullptr);
  std::vector<Effect> effects;
  node.module->step(now_, input, effects);
  if (observer_) observer_(id, input, effects);
  for (const Effect& effect : effects) carry_out(id, effect);
  node.module->check_invariants();
  answer_reads(id);
}

// What one step asks for is answered by the next.
void StepWorld::answer_reads(NodeId id) {
  Node& node = nodes_.at(id);
  while (node.module != nullptr && !node.reads.empty()) {
    const out::ReadSnapshot asked = node.reads.front();
    node.reads.pop_front();
    const SnapshotMeta& image = node.log.snapshot();
    in::SnapshotChunk chunk{asked.for_peer, asked.snapshot, asked.position, nullptr};
    if (image.last == asked.snapshot) {
      const std::uint64_t left = image.size - std::min(image.size, asked.position);
      chunk.bytes = std::make_shared<const Bytes>(std::min<std::uint64_t>(left, asked.count));
    }
    step(id, chunk);
  }
}

Config StepWorld::config_of(const Node& node, LogIndex at, const Config& otherwise) {
  const SnapshotMeta& image = node.log.snapshot();
  Config config = image.last.index > LogIndex{0} ? image.config : otherwise;
  for (const Entry& entry : node.log.read(node.log.first(), SIZE_MAX)) {
    if (entry.id.index > at) break;
    if (entry.id.index <= image.last.index || entry.kind != EntryKind::config) continue;
    config = decode_config(*entry.body).value();
  }
  return config;
}

void StepWorld::take_snapshot(NodeId id, std::uint64_t keep) {
  Node& node = nodes_.at(id);
  const LogIndex last = node.commit;
  if (last <= node.log.snapshot().last.index) return;
  const SnapshotMeta meta{{node.log.epoch_of(last).value(), last},
                          config_of(node, last, options_.config),
                          options_.image_bytes};
  const LogIndex from{
      std::max<std::int64_t>(1, last.next().value() - static_cast<std::int64_t>(keep))};
  const bool cut = std::any_of(node.writes.begin(), node.writes.end(), [](const Effect& write) {
    return std::holds_alternative<out::Truncate>(write) ||
           std::holds_alternative<out::InstallSnapshot>(write);
  });
  for (EntryLog* log : {&node.log, &node.disk_log}) {
    // Committed by others, and not on our disk yet, or behind what is still to be cut from it.
    if (log == &node.disk_log && (cut || log->last().index < last)) continue;
    log->set_snapshot(meta);
    log->trim(std::max(from, log->first()));
  }
  step(id, in::SnapshotTaken{});
}

void StepWorld::carry_out(NodeId id, const Effect& effect) {
  Node& node = nodes_.at(id);
  const auto number = [&node](WriteSeq seq) {
    CHECK(seq == node.issued.next());
    node.issued = seq;
  };
  if (const auto* append = std::get_if<out::Append>(&effect)) {
    number(append->seq);
    for (const Entry& entry : append->entries) node.log.append(entry);
    node.writes.push_back(effect);
  } else if (const auto* truncate = std::get_if<out::Truncate>(&effect)) {
    number(truncate->seq);
    node.log.truncate(truncate->from);
    node.writes.push_back(effect);
  } else if (const auto* save = std::get_if<out::SaveHardState>(&effect)) {
    number(save->seq);
    node.writes.push_back(effect);
  } else if (const auto* store = std::get_if<out::StoreSnapshot>(&effect)) {
    number(store->seq);
    node.writes.push_back(effect);
  } else if (const auto* install = std::get_if<out::InstallSnapshot>(&effect)) {
    number(install->seq);
    CHECK(install->meta.last.index > node.commit);
    node.log.install(install->meta);
    node.writes.push_back(effect);
  } else if (const auto* read = std::get_if<out::ReadSnapshot>(&effect)) {
    node.reads.push_back(*read);
  } else if (const auto* fatal = std::get_if<out::Fatal>(&effect)) {
    CHECK_MSG(false, fmt::format("node {} gave up: {}", id, fatal->reason));
  } else if (const auto* send = std::get_if<out::Send>(&effect)) {
    hold(node, send->after, effect);
  } else if (const auto* commit = std::get_if<out::Commit>(&effect)) {
    hold(node, commit->after, effect);
  } else if (const auto* activate = std::get_if<out::Activate>(&effect)) {
    CHECK(!node.active.has_value());
    node.active = activate->epoch;
  } else if (const auto* deactivate = std::get_if<out::Deactivate>(&effect)) {
    CHECK(node.active == deactivate->epoch);
    node.active.reset();
  } else if (const auto* close = std::get_if<out::CloseLink>(&effect)) {
    disconnect(id, close->peer);
    connect(id, close->peer);
  }
}

void StepWorld::hold(Node& node, WriteSeq after, const Effect& effect) {
  CHECK(after <= node.issued);
  if (after <= node.durable) return release(node.key.id, effect);
  node.held.emplace(after, effect);
}

void StepWorld::release(NodeId id, const Effect& effect) {
  Node& node = nodes_.at(id);
  if (const auto* commit = std::get_if<out::Commit>(&effect)) {
    CHECK(commit->after <= node.durable);
    CHECK(commit->up_to > node.commit);
    node.commit = commit->up_to;
  } else if (const auto* send = std::get_if<out::Send>(&effect)) {
    CHECK(send->after <= node.durable);
    const auto link = node.links.find(send->to);
    if (link != node.links.end()) queues_[{id, send->to}].push_back({send->message, link->second});
  }
}

void StepWorld::apply_to_disk(Node& node, const Effect& write) {
  if (const auto* append = std::get_if<out::Append>(&write)) {
    for (const Entry& entry : append->entries) node.disk_log.append(entry);
    node.durable = append->seq;
  } else if (const auto* truncate = std::get_if<out::Truncate>(&write)) {
    node.disk_log.truncate(truncate->from);
    node.durable = truncate->seq;
  } else if (const auto* save = std::get_if<out::SaveHardState>(&write)) {
    node.disk_hard_state = save->state;
    node.durable = save->seq;
  } else if (const auto* store = std::get_if<out::StoreSnapshot>(&write)) {
    node.durable = store->seq;
  } else if (const auto* install = std::get_if<out::InstallSnapshot>(&write)) {
    node.disk_log.install(install->meta);
    node.durable = install->seq;
    node.commit = std::max(node.commit, install->meta.last.index);
    node.installed = install->meta.last;
  }
}

void StepWorld::write(NodeId id, std::size_t count) {
  Node& node = nodes_.at(id);
  const WriteSeq before = node.durable;
  for (; count > 0 && !node.writes.empty(); --count) {
    apply_to_disk(node, node.writes.front());
    node.writes.pop_front();
  }
  if (node.durable == before) return;
  while (!node.held.empty() && node.held.begin()->first <= node.durable) {
    const Effect effect = std::move(node.held.begin()->second);
    node.held.erase(node.held.begin());
    release(id, effect);
  }
  if (const auto installed = std::exchange(node.installed, std::nullopt)) {
    step(id, in::SnapshotInstalled{*installed});
  }
  step(id, in::WriteDone{node.durable});
}

void StepWorld::fire_timer(NodeId id) {
  const Time due = nodes_.at(id).module->next_deadline();
  CHECK(due != Time::max());
  now_ = std::max(now_, due);
  step(id, in::Timer{});
}

void StepWorld::advance(Duration duration, bool settling) {
  const Time end = now_ + duration;
  while (true) {
    if (settling) CHECK(settle());
    std::pair<Time, NodeId> first{Time::max(), no_node};
    for (const auto& [id, node] : nodes_) {
      if (node.module != nullptr) first = std::min(first, {node.module->next_deadline(), id});
    }
    if (first.first > end) break;
    fire_timer(first.second);
  }
  now_ = end;
}

std::size_t StepWorld::queued(NodeId from, NodeId to) const {
  const auto queue = queues_.find({from, to});
  return queue == queues_.end() ? 0 : queue->second.size();
}

bool StepWorld::drop(NodeId from, NodeId to) {
  auto& queue = queues_[{from, to}];
  if (queue.empty()) return false;
  queue.pop_front();
  return true;
}

bool StepWorld::deliver(NodeId from, NodeId to) {
  auto& queue = queues_[{from, to}];
  if (queue.empty() || !is_up(to)) return false;
  const OnTheWay next = queue.front();
  queue.pop_front();
  step(to, in::Receive{from, next.link, next.message});
  return true;
}

bool StepWorld::settle(std::size_t rounds_max) {
  for (std::size_t round = 0; round < rounds_max; ++round) {
    bool moved = false;
    for (const auto& [id, node] : nodes_) {
      if (node.module == nullptr || node.writes.empty()) continue;
      write(id, node.writes.size());
      moved = true;
    }
    for (const auto& [from, a] : nodes_) {
      for (const auto& [to, b] : nodes_) {
        while (deliver(from, to)) moved = true;
      }
    }
    if (!moved) return true;
  }
  return false;
}

}  // namespace qlab::consensus
