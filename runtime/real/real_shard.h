#pragma once
// One shard of the real world.

#include <filesystem>

#include "runtime/real/real_disk.h"
#include "runtime/real/real_network.h"
#include "runtime/real/timers.h"
#include "runtime/trace.h"
#include "runtime/transport.h"

namespace qlab::runtime {

class RealShard final : public Runtime {
 public:
  RealShard(std::filesystem::path root, TraceSink& trace, Prng random);
  ~RealShard() override;  // Requires: its thread is joined.

  Executor executor() override { return context_.get_executor(); }
  Time now() const override { return monotonic_now(); }
  WallMillis wall_now() const override;
  TimerId call_at(Time due, std::function<void()> callback) override;
  void cancel(TimerId timer) override;
  Prng& random() override { return random_; }
  Disk& disk() override { return disk_; }
  Network& network() override { return network_; }
  Transport& transport() override;  // Requires: shard 0.
  TraceSink& trace() override { return trace_; }

  // On shard 0 only, before it serves. Requires: is_transport(name).
  void add_transport(std::string_view name);
  RealDisk& real_disk() { return disk_; }
  RealNetwork& real_network() { return network_; }
  void make_ready() { context_.restart(); }  // Before serve(), which a stop() may even precede.
  // Serves until stop(). Thread: the one that becomes the shard's.
  void serve();
  void stop() { context_.stop(); }  // Thread: any.
  // Destroys the coroutines that still wait. It never serves again. Thread: its own is joined.
  void abandon() { context_.shutdown(); }

 private:
  // Makes the step public that ends everyone who still waits, while what they use is still there.
  struct Context : boost::asio::io_context {
    Context() : io_context(1) {}
    using io_context::shutdown;
  };

  Context context_;
  TraceSink& trace_;
  Prng random_;
  TimerQueue timers_;
  RealDisk disk_;
  RealNetwork network_;
  std::unique_ptr<Transport> transport_;  // None beyond shard 0.
};

}  // namespace qlab::runtime
