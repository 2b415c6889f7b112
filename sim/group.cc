#include "sim/group.h"

namespace qlab::sim {

using consensus::Member;
using consensus::MemberRole;

Group::Group(runtime::SimulatedWorld& world, int voters, int observers, ReplicaOptions options)
    : world_(world), options_(std::move(options)), random_(world.random().fork()) {
  for (int i = 1; i <= voters + observers; ++i) {
    const NodeId id(i);
    nodes_.push_back(id);
    if (i <= voters) history_.voters.push_back(id);
    options_.config.members.push_back(
        Member{id, i <= voters ? MemberRole::voter : MemberRole::observer});
  }
  for (const NodeId id : nodes_) boot(id);
}

void Group::boot(NodeId id) {
  world_.boot(id, [this, id](runtime::Runtime&) {
    auto replica = std::make_shared<Replica>(world_.node(id), history_, options_);
    replicas_[id] = replica;
    return replica;
  });
}

void Group::boot_all() {
  for (const NodeId id : nodes_) {
    if (!is_up(id)) boot(id);
  }
}

Replica* Group::replica(NodeId id) {
  const auto replica = replicas_[id].lock();
  return replica && is_up(id) && replica->is_ready() ? replica.get() : nullptr;
}

Replica* Group::a_leader() {
  std::vector<Replica*> leaders;
  for (const NodeId id : nodes_) {
    if (Replica* r = replica(id); r != nullptr && r->leads()) leaders.push_back(r);
  }
  return leaders.empty() ? nullptr : leaders[random_.below(leaders.size())];
}

void Group::begin_load(Duration interval) {
  load_interval_ = interval;
  load(++load_round_);
}

void Group::load(std::uint64_t round) {
  if (round != load_round_) return;
  Replica* target = random_.chance(0.5) ? a_leader() : nullptr;
  if (target == nullptr) target = replica(nodes_[random_.below(nodes_.size())]);
  if (target != nullptr) ask(*target);
  world_.after(Duration(random_.between(1, 2 * load_interval_.count())),
               [this, round] { load(round); });
}

void Group::ask(Replica& replica) {
  if (random_.chance(0.2)) return replica.read();
  std::vector<Bytes> bodies;
  const std::uint64_t first = last_value_ + 1;
  const std::uint64_t count = 1 + random_.below(3);
  for (std::uint64_t i = 0; i < count; ++i) {
    bodies.push_back(AppendRegister::body_of(++last_value_, random_.below(2000)));
  }
  history_.proposed += count;
  replica.propose(first, std::move(bodies));
}

bool Group::has_converged() {
  if (a_leader() == nullptr || history_.committed.empty()) return false;
  for (const NodeId id : nodes_) {
    const Replica* r = replica(id);
    if (r == nullptr || !(r->applied() == history_.committed.back().entry)) return false;
  }
  return true;
}

}  // namespace qlab::sim
