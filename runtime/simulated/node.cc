#include "runtime/simulated/node.h"

#include <algorithm>

#include <boost/asio/post.hpp>

#include "common/check.h"
#include "runtime/simulated/fabric.h"
#include "runtime/suspension.h"

namespace qlab::runtime {
namespace {

// 2023-11-14: what wall clocks show at the origin of virtual time.
constexpr WallMillis wall_origin{1'700'000'000'000};
// A timer beyond this never fires.
constexpr Duration timer_horizon = std::chrono::hours(24 * 365);

}  // namespace

SimulatedNode::SimulatedNode(NodeId id, EventQueue& queue, Journal& journal, Fabric& fabric,
                             const WorldOptions& options, Prng random)
    : id_(id),
      queue_(queue),
      journal_(journal),
      fabric_(fabric),
      random_(random.fork()),
      clock_offset_(random.between(0, options.clock_offset_max.count())),
      clock_drift_ppm_(random.between(-options.clock_drift_max_ppm, options.clock_drift_max_ppm)),
      context_(std::make_unique<Context>()),
      disk_(*this, options, random.fork()),
      network_(*this, fabric),
      transport_(*this, fabric),
      trace_(*this) {
  fabric_.add(*this);
}

SimulatedNode::~SimulatedNode() {
  end_life();
}

Executor SimulatedNode::executor() {
  return context_->get_executor();
}

Time SimulatedNode::now() const {
  return local(queue_.now());
}

WallMillis SimulatedNode::wall_now() const {
  return wall_origin + wall_jump_ +
         std::chrono::duration_cast<WallMillis>(queue_.now().time_since_epoch());
}

Time SimulatedNode::local(Time world) const {
  const auto elapsed = world.time_since_epoch().count();
  constexpr std::int64_t million = 1'000'000;
  const auto drift =
      elapsed / million * clock_drift_ppm_ + elapsed % million * clock_drift_ppm_ / million;
  return world + clock_offset_ + Duration(drift);
}

Time SimulatedNode::world_when(Time due) const {
  Time world = queue_.now();
  const double rate = 1 + static_cast<double>(clock_drift_ppm_) * 1e-6;
  while (local(world) < due) {
    const auto left = static_cast<double>((due - local(world)).count());
    world += std::max(Duration(1), Duration(static_cast<std::int64_t>(left / rate)));
  }
  return world;
}

TimerId SimulatedNode::call_at(Time due, std::function<void()> callback) {
  last_timer_ = last_timer_.next();
  const TimerId id = last_timer_;
  if (!is_up() || due - now() > timer_horizon) return id;
  const auto fire = [this, id] {
    const auto found = timers_.find(id);
    if (found == timers_.end()) return;
    const auto ready = std::move(found->second.callback);
    timers_.erase(found);
    ready();
  };
  const auto event = queue_.at(world_when(due), [this, fire] { deliver(fire); });
  timers_.emplace(id, Timer{event, std::move(callback)});
  return id;
}

void SimulatedNode::cancel(TimerId timer) {
  const auto found = timers_.find(timer);
  if (found == timers_.end()) return;
  queue_.cancel(found->second.event);
  timers_.erase(found);
}

void SimulatedNode::deliver(std::function<void()> work) {
  if (!is_up()) return;
  boost::asio::post(*context_, [this, life = life_, work = std::move(work)] {
    if (life == life_ && is_up()) work();
  });
}

void SimulatedNode::deliver_after(Duration delay, std::function<void()> work) {
  queue_.after(delay, [this, life = life_, work = std::move(work)] {
    if (life == life_) deliver(work);
  });
}

void SimulatedNode::doom(CrashOptions how) {
  doomed_ = true;
  doom_options_ = how;
}

void SimulatedNode::boot(const Boot& boot) {
  CHECK_MSG(!program_, "a node that runs a program is crashed before it boots again");
  if (!up_) ++life_;
  up_ = true;
  trace_.emit("sim_boot", {});
  fabric_.node_boots(id_);
  if (boot) program_ = boot(*this);
}

void SimulatedNode::crash(CrashOptions how) {
  CHECK(up_);
  doomed_ = false;
  trace_.emit("sim_crash", {{"lose_unsynced", how.lose_unsynced}, {"silent", how.silent}});
  end_life();
  silent_ = how.silent;
  disk_.crash(how.lose_unsynced);
  fabric_.node_died(*this, how.silent);
}

void SimulatedNode::end_life() {
  up_ = false;
  doomed_ = false;
  paused_ = false;
  ++life_;
  network_.crash();
  transport_.crash();
  context_->shutdown();
  program_.reset();
  for (const auto& [id, timer] : timers_) queue_.cancel(timer.event);
  timers_.clear();
  context_ = std::make_unique<Context>();
}

bool SimulatedNode::run_one() {
  if (!is_up() || paused_) return false;
  if (context_->stopped()) context_->restart();
  return context_->poll_one() > 0;
}

std::size_t SimulatedNode::coroutines_waiting() {
  return Suspension::waiting_on(executor());
}

void SimulatedNode::Trace::emit(std::string_view event, std::initializer_list<TraceField> fields) {
  if (node_.doomed_) return;
  node_.journal_.trace(node_.queue_.now(), node_.id_, event, fields);
}

void SimulatedNode::Trace::emit_detail(std::string_view event,
                                       std::initializer_list<TraceField> fields) {
  if (node_.doomed_) return;
  node_.journal_.trace_detail(node_.queue_.now(), node_.id_, event, fields);
}

Time SimulatedNode::Trace::now() const {
  return node_.queue_.now();
}

}  // namespace qlab::runtime
