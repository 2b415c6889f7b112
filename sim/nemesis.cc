#include "sim/nemesis.h"

#include <cerrno>

namespace qlab::sim {

using runtime::DiskAccess;
using runtime::DiskFault;
using runtime::DiskOperation;

Nemesis::Nemesis(Group& group) : group_(group), random_(group.world().random().fork()) {
  interval_ = std::chrono::milliseconds(random_.between(50, 1500));
  const auto weigh = [this](Act act, std::uint64_t weight_max) {
    // In about every third run a kind of fault is left out altogether.
    const std::uint64_t weight = random_.chance(0.3) ? 0 : 1 + random_.below(weight_max);
    acts_.insert(acts_.end(), weight, act);
  };
  weigh(&Nemesis::crash_one, 4);
  weigh(&Nemesis::crash_all, 1);
  weigh(&Nemesis::bounce_one, 6);
  weigh(&Nemesis::crash_at_a_write, 6);
  weigh(&Nemesis::pause_one, 3);
  weigh(&Nemesis::block_one_way, 3);
  weigh(&Nemesis::isolate_one, 3);
  weigh(&Nemesis::split, 3);
  weigh(&Nemesis::bridge, 2);
  weigh(&Nemesis::break_a_link, 4);
  weigh(&Nemesis::slow_a_link, 2);
  weigh(&Nemesis::slow_a_disk, 2);
  weigh(&Nemesis::resign_a_leader, 1);
  if (group.swarm().transfers) weigh(&Nemesis::transfer, 4);
  if (group.swarm().reconfigures) weigh(&Nemesis::reconfigure, 12);
  if (group.swarm().contests) {
    acts_.assign(8, &Nemesis::contest);
    interval_ = 3 * group.swarm().replica.tuning.election_timeout;
    group.history().on_vote = [this](NodeId id) { on_vote(id); };
  }
  if (group.swarm().keyed) weigh(&Nemesis::wipe_one, 2);
  // What undoes them is never left out.
  acts_.insert(acts_.end(), 3 + random_.below(6), &Nemesis::boot_one);
  acts_.insert(acts_.end(), 1 + random_.below(4), &Nemesis::heal_links);
  acts_.insert(acts_.end(), 1 + random_.below(3), &Nemesis::resume_all);
  if (random_.chance(0.3)) sync_failure_chance_ = 0.002;
  if (random_.chance(0.3)) reboot_after_ = std::chrono::milliseconds(random_.between(1, 20));
}

void Nemesis::begin() {
  striking_ = true;
  arm_disks();
  strike();
  if (reboot_after_ != Duration{}) keep_booting();
}

void Nemesis::heal() {
  striking_ = false;
  group_.end_datagrams();
  for (const NodeId id : group_.nodes()) {
    group_.world().node(id).disk().set_fault_hook(nullptr);
    group_.world().node(id).disk().crash_at_change(0);
  }
  heal_links();
  resume_all();
}

void Nemesis::strike() {
  if (!striking_) return;
  (this->*acts_[random_.below(acts_.size())])();
  const Duration next(random_.between(1, 2 * interval_.count()));
  group_.world().after(next, [this] { strike(); });
}

// In the middle of the write, or before the election is over.
void Nemesis::on_vote(NodeId id) {
  if (!striking_ || id != doomed_voter_ || !random_.chance(0.7)) return;
  doomed_voter_ = no_node;
  if (random_.chance(0.5)) {
    group_.world().node(id).disk().crash_at_change(1);
    return boot_soon(id);
  }
  const auto most = std::chrono::microseconds(random_.chance(0.7) ? 10 : 15'000);
  const Duration down_after(random_.between(0, Duration(most).count()));
  group_.world().after(down_after, [this, id] {
    if (striking_) bounce(id);
  });
}

void Nemesis::boot_soon(NodeId id) {
  group_.world().after(std::chrono::milliseconds(random_.between(1, 5)), [this, id] {
    if (striking_ && !group_.is_up(id)) group_.boot(id);
  });
}

void Nemesis::keep_booting() {
  if (!striking_) return;
  group_.boot_all();
  group_.world().after(reboot_after_, [this] { keep_booting(); });
}

NodeId Nemesis::any() {
  return group_.nodes()[random_.below(group_.nodes().size())];
}

void Nemesis::crash(NodeId id) {
  if (!group_.is_up(id)) return;
  ++crashes_;
  group_.world().crash(id, {.lose_unsynced = random_.chance(0.7), .silent = random_.chance(0.3)});
}

void Nemesis::crash_one() {
  crash(any());
}

void Nemesis::crash_all() {
  for (const NodeId id : group_.nodes()) crash(id);
}

void Nemesis::bounce_one() {
  bounce(any());
}

void Nemesis::bounce(NodeId id) {
  crash(id);
  if (!group_.is_up(id)) group_.boot(id);
}

void Nemesis::crash_at_a_write() {
  group_.world().node(any()).disk().crash_at_change(1 + random_.below(30));
}

void Nemesis::boot_one() {
  for (const NodeId id : group_.nodes()) {
    if (!group_.is_up(id) && random_.chance(0.7)) return group_.boot(id);
  }
}

void Nemesis::pause_one() {
  const NodeId id = any();
  if (group_.is_up(id)) group_.world().pause(id);
}

void Nemesis::resume_all() {
  for (const NodeId id : group_.nodes()) group_.world().resume(id);
}

void Nemesis::block_one_way() {
  const NodeId from = any();
  const NodeId to = any();
  if (from != to) group_.world().fabric().block(from, to);
}

void Nemesis::isolate_one() {
  const NodeId lonely = any();
  for (const NodeId other : group_.nodes()) {
    if (other == lonely) continue;
    group_.world().fabric().block(lonely, other);
    group_.world().fabric().block(other, lonely);
  }
}

void Nemesis::split() {
  std::vector<NodeId> sides[2];
  for (const NodeId id : group_.nodes()) sides[random_.below(2)].push_back(id);
  part(sides[0], sides[1]);
}

void Nemesis::part(const std::vector<NodeId>& left, const std::vector<NodeId>& right) {
  for (const NodeId a : left) {
    for (const NodeId b : right) {
      group_.world().fabric().block(a, b);
      group_.world().fabric().block(b, a);
    }
  }
}

void Nemesis::bridge() {
  const NodeId both = any();
  std::vector<NodeId> sides[2];
  for (const NodeId id : group_.nodes()) {
    if (id != both) sides[random_.below(2)].push_back(id);
  }
  part(sides[0], sides[1]);
}

void Nemesis::contest() {
  const Replica* leader = group_.a_leader();
  const NodeId both = leader != nullptr ? leader->id() : any();
  heal_links();
  resume_all();
  group_.boot_all();
  std::vector<NodeId> sides[2];
  for (const NodeId id : group_.nodes()) {
    if (id != both) sides[sides[0].size() > sides[1].size() ? 1 : 0].push_back(id);
  }
  part(sides[0], sides[1]);
  bounce(both);
  doomed_voter_ = both;
}

void Nemesis::heal_links() {
  group_.world().fabric().heal();
}

void Nemesis::break_a_link() {
  const NodeId from = any();
  if (!group_.is_up(from)) return;
  if (random_.chance(0.5)) {
    group_.world().fabric().break_between(from, any());
  } else {
    group_.world().node(from).transport().close_link(any());
  }
}

void Nemesis::slow_a_link() {
  group_.world().fabric().slow_down(any(), any(),
                                    std::chrono::milliseconds(random_.between(1, 300)));
}

void Nemesis::resign_a_leader() {
  if (Replica* leader = group_.a_leader()) leader->resign();
}

void Nemesis::slow_a_disk() {
  slow_disks_[any()] = std::chrono::milliseconds(random_.between(0, 300));
}

void Nemesis::transfer() {
  Replica* leader = group_.a_leader();
  if (leader == nullptr) return;
  leader->transfer(random_.chance(0.7) ? std::optional(any()) : std::nullopt);
}

void Nemesis::reconfigure() {
  group_.reconfigure();
}

void Nemesis::wipe_one() {
  group_.wipe(any());
}

void Nemesis::arm_disks() {
  for (const NodeId id : group_.nodes()) {
    group_.world().node(id).disk().set_fault_hook([this, id](const DiskAccess& access) {
      DiskFault fault;
      if (const auto slow = slow_disks_.find(id); slow != slow_disks_.end()) {
        fault.delay = slow->second;
      }
      if (sync_failure_chance_ == 0) return fault;
      const bool syncs = access.operation == DiskOperation::sync ||
                         access.operation == DiskOperation::sync_filesystem;
      const bool fills =
          access.operation == DiskOperation::write || access.operation == DiskOperation::prepare;
      if (syncs && random_.chance(sync_failure_chance_)) {
        fault.error = EIO;
      } else if (fills && random_.chance(sync_failure_chance_)) {
        fault.error = ENOSPC;
        fault.torn = random_.below(access.count + 1);
      }
      return fault;
    });
  }
}

}  // namespace qlab::sim
