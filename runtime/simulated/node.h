#pragma once
// One node of a simulated world: a Runtime with its own clock, executor, disk and links.
//
// How a node dies: its io_context shuts down, which destroys the frames of all coroutines that wait
// on it (suspension.h); then the program that boot() made is destroyed; then the context. So while
// frames are destroyed all that the program owns is still there, and nothing of the dead life runs
// again: what was on its way to it finds another life() and is dropped. A program therefore owns
// its parts itself and leaves none of them to a coroutine's frame. Whatever the destructors of a
// dying program ask of the runtime has no effect.
//
// Thread: the one thread of the world. The object stays the same through all lives of the node.

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "runtime/runtime.h"
#include "runtime/simulated/disk.h"
#include "runtime/simulated/event_queue.h"
#include "runtime/simulated/journal.h"
#include "runtime/simulated/network.h"
#include "runtime/simulated/options.h"
#include "runtime/simulated/transport.h"
#include "runtime/trace.h"

namespace qlab::runtime {

class Fabric;

// Makes the program of a node, which lives until the node crashes.
using Boot = std::function<std::shared_ptr<void>(Runtime& runtime)>;

struct CrashOptions {
  // True as when the power fails; false as after SIGKILL, when the kernel keeps the page cache.
  bool lose_unsynced = true;
  // True as when the power fails: peers hear nothing until the node is back. False: their streams
  // are reset.
  bool silent = false;
};

class SimulatedNode final : public Runtime {
 public:
  SimulatedNode(NodeId id, EventQueue& queue, Journal& journal, Fabric& fabric,
                const WorldOptions& options, Prng random);
  ~SimulatedNode() override;
  SimulatedNode(const SimulatedNode&) = delete;
  SimulatedNode& operator=(const SimulatedNode&) = delete;

  Executor executor() override;
  Time now() const override;
  WallMillis wall_now() const override;
  TimerId call_at(Time due, std::function<void()> callback) override;
  void cancel(TimerId timer) override;
  Prng& random() override { return random_; }
  SimulatedDisk& disk() override { return disk_; }
  SimulatedNetwork& network() override { return network_; }
  SimulatedTransport& transport() override { return transport_; }
  TraceSink& trace() override { return trace_; }

  NodeId id() const { return id_; }
  std::string host() const { return host_name(id_); }
  // The name that peers and clients reach a node by.
  static std::string host_name(NodeId id) { return fmt::format("node-{}", id); }

  bool is_up() const { return up_ && !doomed_; }
  bool is_paused() const { return paused_; }
  // Down without a word to anybody.
  bool is_silent() const { return !up_ && silent_; }
  // Counts the times it was booted or crashed: what belongs to one life says so by its number.
  std::uint64_t life() const { return life_; }

  // Runs `work` on the executor, as an interrupt would, unless this life is over by then.
  void deliver(std::function<void()> work);
  // Likewise, after a delay on the world's clock.
  void deliver_after(Duration delay, std::function<void()> work);

  // The node's wall clock jumps. Its monotonic clock never does.
  void jump_wall_clock(WallMillis by) { wall_jump_ += by; }

  // From now on it counts as down, and the world crashes it before anything else of it runs. For
  // faults that strike inside an operation.
  void doom(CrashOptions how);

  // The rest is for the world.
  void boot(const Boot& boot);
  void crash(CrashOptions how);
  void set_paused(bool paused) { paused_ = paused; }
  // Runs one handler. False when there is none, or the node is down or paused.
  bool run_one();
  bool is_doomed() const { return doomed_; }
  CrashOptions doom_options() const { return doom_options_; }
  std::size_t coroutines_waiting();

 private:
  // Asio lets only itself call shutdown(), and a crash needs it apart from destruction.
  class Context : public boost::asio::io_context {
   public:
    Context() : io_context(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE) {}
    using io_context::shutdown;
  };
  class Trace final : public TraceSink {
   public:
    explicit Trace(SimulatedNode& node) : node_(node) {}
    bool enabled() const override { return true; }
    void emit(std::string_view event, std::initializer_list<TraceField> fields) override;
    void emit_detail(std::string_view event, std::initializer_list<TraceField> fields) override;
    Time now() const override;

   private:
    SimulatedNode& node_;
  };
  struct Timer {
    EventQueue::Id event;
    std::function<void()> callback;
  };

  void end_life();
  Time local(Time world) const;
  Time world_when(Time local) const;  // The first instant at which now() >= local.

  NodeId id_;
  EventQueue& queue_;
  Journal& journal_;
  Fabric& fabric_;
  Prng random_;
  Duration clock_offset_;
  std::int64_t clock_drift_ppm_;
  WallMillis wall_jump_{};
  bool up_ = true;
  bool doomed_ = false;
  CrashOptions doom_options_;
  bool silent_ = false;  // How the last crash was.
  bool paused_ = false;
  std::uint64_t life_ = 1;
  std::map<TimerId, Timer> timers_;
  TimerId last_timer_;
  std::unique_ptr<Context> context_;
  SimulatedDisk disk_;
  SimulatedNetwork network_;
  SimulatedTransport transport_;
  Trace trace_;
  std::shared_ptr<void> program_;
};

}  // namespace qlab::runtime
