#include "sim/group.h"

#include <algorithm>

#include "consensus/config.h"
#include "consensus/quorum.h"

namespace qlab::sim {

using consensus::Config;
using consensus::Member;
using consensus::MemberRole;

Group::Group(runtime::SimulatedWorld& world, Swarm swarm,
             const consensus::Capabilities& capabilities)
    : world_(world),
      swarm_(std::move(swarm)),
      capabilities_(capabilities),
      random_(world.random().fork()) {
  for (const NodeId id : nodes()) history_.directories[id] = new_disk(id);
  for (Member& member : swarm_.replica.config.members) {
    if (swarm_.keyed) member.directory = history_.directories[member.id];
  }
  for (const NodeId id : nodes()) {
    history_.in_force(id, swarm_.replica.config, {});
    boot(id);
  }
}

DirectoryId Group::new_disk(NodeId id) {
  return Uuid{++disks_, static_cast<std::uint64_t>(id.value())};
}

void Group::boot(NodeId id) {
  std::erase_if(history_.asked, [id](const auto& asked) { return asked.first.first == id; });
  world_.boot(id, [this, id](runtime::Runtime&) {
    auto replica = std::make_shared<Replica>(world_.node(id), history_, swarm_.replica);
    replicas_[id] = replica;
    return replica;
  });
}

void Group::boot_all() {
  for (const NodeId id : nodes()) {
    if (!is_up(id)) boot(id);
  }
}

Replica* Group::replica(NodeId id) {
  const auto replica = replicas_[id].lock();
  return replica && is_up(id) && replica->is_ready() ? replica.get() : nullptr;
}

Replica* Group::a_leader() {
  std::vector<Replica*> leaders;
  for (const NodeId id : nodes()) {
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
  if (target == nullptr) target = replica(nodes()[random_.below(nodes().size())]);
  if (target != nullptr) ask(*target);
  world_.after(Duration(random_.between(1, 2 * load_interval_.count())),
               [this, round] { load(round); });
}

void Group::ask(Replica& replica) {
  if (random_.chance(swarm_.read_chance)) return replica.read();
  std::vector<Bytes> bodies;
  const std::uint64_t first = last_value_ + 1;
  const std::uint64_t count = 1 + random_.below(3);
  for (std::uint64_t i = 0; i < count; ++i) {
    bodies.push_back(AppendRegister::body_of(++last_value_, random_.below(2000)));
  }
  history_.proposed += count;
  replica.propose(first, std::move(bodies));
}

bool Group::has_its_disk(const Member& member) const {
  return member.directory == DirectoryId{} ||
         member.directory == history_.directories.at(member.id);
}

Config Group::draw_target(const Config& now) {
  Config target = now;
  target.outgoing.clear();
  const auto draw_role = [&](NodeId id) {
    // Who was a witness has no whole log, and is refused as anything else.
    if (history_.is_bare(id) && !random_.chance(0.1)) return MemberRole::witness;
    if (capabilities_.witnesses && random_.chance(0.1)) return MemberRole::witness;
    return random_.chance(0.2) ? MemberRole::observer : MemberRole::voter;
  };
  const auto change_one = [&](NodeId id) {
    const auto at = std::find_if(target.members.begin(), target.members.end(),
                                 [id](const Member& m) { return m.id == id; });
    if (at != target.members.end()) {
      // The replica with its old disk goes before that with the new one comes.
      const bool again = has_its_disk(*at) && random_.chance(0.2);
      const bool keep = has_its_disk(*at) && random_.chance(0.3);
      if (keep && !again) {
        at->role = draw_role(id);
        return;
      }
      target.members.erase(at);
      if (!again || !capabilities_.joint_changes) return;
    }
    Member member{id, draw_role(id)};
    if (swarm_.keyed) member.directory = history_.directories.at(id);
    target.members.push_back(member);
    std::sort(target.members.begin(), target.members.end());
  };
  const std::uint64_t changes = capabilities_.joint_changes ? 1 + random_.below(3) : 1;
  for (std::uint64_t i = 0; i < changes; ++i) change_one(nodes()[random_.below(nodes().size())]);
  return target;
}

void Group::reconfigure() {
  Replica* leader = a_leader();
  if (leader == nullptr) return;
  Config target = draw_target(leader->config());
  if (!consensus::check_config(target) || !can_do_without(target, no_node)) return;
  leader->reconfigure(std::move(target));
}

bool Group::can_do_without(const Config& config, NodeId id) const {
  if (!swarm_.keyed) return true;
  const auto gone = [&](NodeId other) {
    const Member& member = *consensus::find_member(config, other);
    return other == id || member.role == MemberRole::witness || !has_its_disk(member);
  };
  return consensus::is_quorum_possible(config, consensus::QuorumUse::elect, gone) &&
         consensus::is_quorum_possible(config, consensus::QuorumUse::commit, gone);
}

bool Group::may_wipe(NodeId id) const {
  for (const auto& [node, config] : history_.configs) {
    if (!history_.is_committed(history_.configured_at.at(node))) return false;
    // Whoever is no member of its own configuration elects nobody with it.
    const Member* holder = consensus::find_member(config, node);
    const bool counts = holder != nullptr && has_its_disk(*holder);
    if (counts && !can_do_without(config, id)) return false;
  }
  return std::all_of(history_.asked.begin(), history_.asked.end(),
                     [&](const auto& asked) { return can_do_without(asked.second, id); });
}

void Group::wipe(NodeId id) {
  if (!may_wipe(id)) return;
  if (is_up(id)) world_.crash(id);
  history_.wipe(id, new_disk(id));
  history_.in_force(id, swarm_.replica.config, {});
  boot(id);
}

bool Group::has_converged() {
  if (history_.committed.empty()) return false;
  const LogIndex last = history_.committed.back().entry.id.index;
  const Replica* leader = nullptr;
  for (const NodeId id : nodes()) {
    const Replica* r = replica(id);
    if (r == nullptr) return false;
    if (!r->leads()) continue;
    if (leader == nullptr || leader->status().epoch < r->status().epoch) leader = r;
  }
  if (leader == nullptr) return false;
  const Config& config = leader->config();
  if (!config.outgoing.empty()) return false;
  for (const Member& member : config.members) {
    if (history_.is_bare(member.id) || !has_its_disk(member)) continue;
    if (replica(member.id)->applied() != last) return false;
  }
  return true;
}

std::string Group::words_of_state() {
  std::string all = history_.committed.empty()
                        ? std::string("nothing was ever committed")
                        : fmt::format("{} entries are committed", history_.committed.size());
  for (const NodeId id : nodes()) {
    const Replica* r = replica(id);
    if (r == nullptr) {
      all += fmt::format("; node {} is not up", id);
      continue;
    }
    const consensus::Status status = r->status();
    all += fmt::format("; node {}: {} of epoch {}, log to {}.{}, applied {}, {} members{}", id,
                       status.role, status.epoch, status.last.epoch, status.last.index,
                       r->applied(), r->config().members.size(),
                       r->config().outgoing.empty() ? "" : " and a change under way");
  }
  return all;
}

}  // namespace qlab::sim
