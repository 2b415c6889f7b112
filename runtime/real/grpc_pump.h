#pragma once
// gRPC's completion queue, the one thread that polls it, and the bridge from there to coroutines.

#include <memory>
#include <thread>

#include <grpcpp/completion_queue.h>

#include "runtime/real/wait_outside.h"

namespace qlab::runtime {

// Thread: the shard's. The poller does nothing but hand completions over to it, and what gRPC does
// when it is polled: reading, and taking messages apart.
class GrpcPump {
 public:
  GrpcPump(Executor home, std::unique_ptr<grpc::ServerCompletionQueue> queue);
  ~GrpcPump();  // Requires: stopped.
  GrpcPump(const GrpcPump&) = delete;
  GrpcPump& operator=(const GrpcPump&) = delete;

  grpc::ServerCompletionQueue* queue() { return queue_.get(); }

  // Starts an operation with start(void* tag) and returns gRPC's `ok`: the operation took place.
  // Requires: what the operation reads and writes stays alive until then.
  template <class Start>
  Task<bool> run(Start start) {
    return wait_outside<bool>(
        [this, start = std::move(start)](std::unique_ptr<Waiter<bool>> waiter) {
          ++under_way_;
          start(static_cast<void*>(waiter.release()));
        });
  }

  // Ends the poller. Requires: no operation is under way and the server is shut down.
  void stop();

 private:
  void poll();

  Executor home_;
  std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::size_t under_way_ = 0;
  std::thread poller_;
};

}  // namespace qlab::runtime
