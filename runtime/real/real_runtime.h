#pragma once
// The real world: a thread per shard, the system's clock and disk, TCP, gRPC between nodes.
//
//   auto shards = RealShards::create({.root = "/data/1", .node = NodeId(1)});
//   (*shards)->run([&] { return serve(**shards); });

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/fault_hook.h"
#include "runtime/shards.h"

namespace qlab::runtime {

struct RealOptions {
  std::filesystem::path root;      // The data directory; made when missing.
  NodeId node{0};                  // Named in traces and in the transport's log lines.
  std::size_t shards = 1;          // [1, 64]
  std::vector<int> cpus;           // Shard i stays on cpus[i % size]; empty: anywhere. Threads
                                   // that a shard starts stay there with it.
  std::string trace_file;          // Empty: no trace.
  std::string transport = "grpc";  // One of transport_names (transports.h).
  std::optional<std::uint64_t>
      seed;  // Of all random numbers; drawn from the system when not given.

  // Errors: invalid, naming the option, its value and what is allowed.
  Result<void> validate() const;
};

class RealShards final : public Shards {
 public:
  // SIGPIPE is ignored from here on. Errors: invalid; io, for the root or the trace file.
  static Result<std::unique_ptr<RealShards>> create(RealOptions options);
  // Requires: run() is not under way; what the main task started, it stopped.
  ~RealShards() override;

  std::size_t count() const override;
  Runtime& shard(std::size_t index) override;

  // Runs `main_task` on shard 0, which is the calling thread, and the other shards on threads of
  // their own; returns when it ended and all threads are joined. May be called again.
  // Errors: an exception that leaves the task is passed on.
  void run(std::function<Task<void>()> main_task);

  // The same on a thread of its own, with `after` called there in the end; returns at once.
  // Requires: neither has been called before; an exception leaves neither function.
  void run_aside(std::function<Task<void>()> main_task, std::function<void()> after);
  void join();  // Until `after` has returned. Requires: run_aside(); its thread is not this one.

  // The next SIGTERM or SIGINT. From the first call on they end the process no more; those that
  // come while nobody waits are kept.
  // Thread: shard 0. Errors: closed, after end_signal_wait().
  Task<Result<int>> wait_for_signal();
  void end_signal_wait();

  // What is left of a node that was killed: its sockets are closed and its transport is stopped,
  // without a word to anyone; the disk keeps what was written. Then the main task is to end, and
  // abandon() to come before what it left running is destroyed.
  // Thread: shard 0. Cost: up to 100 ms, in which the node works on and nobody hears of it.
  Task<void> cut_off();
  // Destroys all that still waits on the shards, which never run again.
  // Requires: run() has returned; the transport is stopped.
  void abandon();

  // Disk faults of one shard, from now on. Thread: that shard, or before run().
  void set_fault_hook(std::size_t shard, FaultHook hook);

 private:
  struct Parts;
  explicit RealShards(std::unique_ptr<Parts> parts);
  void run_shard(std::size_t index);

  std::unique_ptr<Parts> parts_;
};

}  // namespace qlab::runtime
