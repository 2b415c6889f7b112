#include "sim/cluster_nemesis.h"

#include <algorithm>

namespace qlab::sim {

using std::chrono::milliseconds;

ClusterNemesis::ClusterNemesis(Cluster& cluster)
    : cluster_(cluster), random_(cluster.world().random().fork()) {
  interval_ = milliseconds(random_.between(100, 1500));
  const auto weigh = [this](Act act, std::uint64_t weight_max) {
    // In about every third run a kind of fault is left out altogether.
    const std::uint64_t weight = random_.chance(0.3) ? 0 : 1 + random_.below(weight_max);
    acts_.insert(acts_.end(), weight, act);
  };
  weigh(&ClusterNemesis::crash_one, 4);
  weigh(&ClusterNemesis::crash_the_controller, 4);
  weigh(&ClusterNemesis::crash_all, 1);
  weigh(&ClusterNemesis::bounce_one, 4);
  weigh(&ClusterNemesis::stop_one, 2);
  weigh(&ClusterNemesis::pause_one, 3);
  weigh(&ClusterNemesis::pause_the_controller, 2);
  weigh(&ClusterNemesis::block_one_way, 2);
  weigh(&ClusterNemesis::isolate_one, 3);
  weigh(&ClusterNemesis::isolate_the_controller, 2);
  weigh(&ClusterNemesis::split, 2);
  weigh(&ClusterNemesis::break_a_link, 4);
  weigh(&ClusterNemesis::slow_a_link, 2);
  if (cluster.swarm().loses_unsynced) weigh(&ClusterNemesis::crash_at_a_write, 6);
  // What undoes them is never left out.
  acts_.insert(acts_.end(), 3 + random_.below(6), &ClusterNemesis::boot_one);
  acts_.insert(acts_.end(), 1 + random_.below(4), &ClusterNemesis::heal_links);
  acts_.insert(acts_.end(), 1 + random_.below(3), &ClusterNemesis::resume_all);
  if (random_.chance(0.4)) reboot_after_ = milliseconds(random_.between(1, 500));
  doom_chance_ = random_.chance(0.7) ? random_.unit() * 0.6 : 0;
}

void ClusterNemesis::begin() {
  striking_ = true;
  for (const auto& client : cluster_.clients()) {
    client->on_change = [this] {
      if (striking_ && random_.chance(doom_chance_)) doom_the_controller(milliseconds(30));
    };
  }
  cluster_.world().after(interval_, [this] { strike(); });
  if (reboot_after_ != Duration{}) keep_booting();
}

void ClusterNemesis::heal() {
  striking_ = false;
  for (const NodeId id : cluster_.nodes()) {
    cluster_.world().node(id).disk().set_fault_hook(nullptr);
    cluster_.world().node(id).disk().crash_at_change(0);
  }
  heal_links();
  resume_all();
}

void ClusterNemesis::strike() {
  if (!striking_) return;
  cluster_.take_down_stopped();
  (this->*acts_[random_.below(acts_.size())])();
  const Duration next(random_.between(1, 2 * interval_.count()));
  cluster_.world().after(next, [this] { strike(); });
}

void ClusterNemesis::keep_booting() {
  if (!striking_) return;
  cluster_.take_down_stopped();
  cluster_.boot_all();
  cluster_.world().after(reboot_after_, [this] { keep_booting(); });
}

NodeId ClusterNemesis::any() {
  return cluster_.nodes()[random_.below(cluster_.nodes().size())];
}

NodeId ClusterNemesis::controller_or_any() {
  const auto controller = cluster_.a_controller();
  return controller ? *controller : any();
}

void ClusterNemesis::crash(NodeId id) {
  if (!cluster_.is_up(id)) return;
  ++crashes_;
  if (cluster_.a_controller() == id) ++controller_crashes_;
  const bool loses = cluster_.swarm().loses_unsynced && random_.chance(0.7);
  cluster_.world().crash(id, {.lose_unsynced = loses, .silent = random_.chance(0.3)});
  // Its partitions change hands once it is found out.
  if (random_.chance(doom_chance_)) doom_the_controller(milliseconds(1500));
}

void ClusterNemesis::crash_one() {
  crash(any());
}

void ClusterNemesis::crash_the_controller() {
  crash(controller_or_any());
}

void ClusterNemesis::crash_all() {
  for (const NodeId id : cluster_.nodes()) crash(id);
}

void ClusterNemesis::bounce_one() {
  const NodeId id = random_.chance(0.3) ? controller_or_any() : any();
  crash(id);
  if (!cluster_.is_up(id)) cluster_.boot(id);
}

void ClusterNemesis::crash_at_a_write() {
  crash_in_the_middle(random_.chance(0.3) ? controller_or_any() : any());
}

void ClusterNemesis::crash_in_the_middle(NodeId id) {
  ++crashes_;
  if (cluster_.a_controller() == id) ++controller_crashes_;
  cluster_.world().node(id).disk().crash_at_change(1 + random_.below(20));
}

void ClusterNemesis::doom_the_controller(Duration within) {
  const auto at = Duration(random_.between(0, within.count()));
  cluster_.world().after(at, [this] {
    const auto controller = cluster_.a_controller();
    if (!striking_ || !controller) return;
    if (random_.chance(0.3)) return isolate(*controller);
    if (cluster_.swarm().loses_unsynced && random_.chance(0.5)) {
      crash_in_the_middle(*controller);
    } else {
      crash(*controller);
    }
  });
}

void ClusterNemesis::stop_one() {
  if (ClusterNode* node = cluster_.node(any())) node->stop();
}

void ClusterNemesis::boot_one() {
  for (const NodeId id : cluster_.nodes()) {
    if (!cluster_.is_up(id) && random_.chance(0.7)) return cluster_.boot(id);
  }
}

void ClusterNemesis::pause_one() {
  const NodeId id = any();
  if (cluster_.is_up(id)) cluster_.world().pause(id);
}

void ClusterNemesis::pause_the_controller() {
  const NodeId id = controller_or_any();
  if (cluster_.is_up(id)) cluster_.world().pause(id);
}

void ClusterNemesis::resume_all() {
  for (const NodeId id : cluster_.nodes()) cluster_.world().resume(id);
}

void ClusterNemesis::block_one_way() {
  const NodeId from = any();
  const NodeId to = any();
  if (from != to) cluster_.world().fabric().block(from, to);
}

void ClusterNemesis::isolate(NodeId lonely) {
  for (const NodeId other : cluster_.nodes()) {
    if (other == lonely) continue;
    cluster_.world().fabric().block(lonely, other);
    cluster_.world().fabric().block(other, lonely);
  }
}

void ClusterNemesis::isolate_one() {
  isolate(any());
}

void ClusterNemesis::isolate_the_controller() {
  isolate(controller_or_any());
}

void ClusterNemesis::split() {
  std::vector<NodeId> sides[2];
  for (const NodeId id : cluster_.nodes()) sides[random_.below(2)].push_back(id);
  for (const NodeId left : sides[0]) {
    for (const NodeId right : sides[1]) {
      cluster_.world().fabric().block(left, right);
      cluster_.world().fabric().block(right, left);
    }
  }
}

void ClusterNemesis::heal_links() {
  cluster_.world().fabric().heal();
}

void ClusterNemesis::break_a_link() {
  const NodeId from = any();
  if (!cluster_.is_up(from)) return;
  if (random_.chance(0.5)) {
    cluster_.world().fabric().break_between(from, any());
  } else {
    cluster_.world().node(from).transport().close_link(any());
  }
}

void ClusterNemesis::slow_a_link() {
  cluster_.world().fabric().slow_down(any(), any(), milliseconds(random_.between(1, 200)));
}

}  // namespace qlab::sim
