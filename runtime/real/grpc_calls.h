#pragma once
// Calls from tools: one message in, one message out, both opaque here.

#include <memory>

#include <grpcpp/generic/async_generic_service.h>

#include "runtime/async.h"
#include "runtime/real/grpc_pump.h"
#include "runtime/transport.h"

namespace qlab::runtime {

// Thread: the shard's.
class GrpcCalls {
 public:
  static constexpr std::size_t under_way_max = 64;  // More are told to come again.

  GrpcCalls(Runtime& runtime, GrpcPump& pump, CallHandler handler)
      : pump_(pump), handler_(std::move(handler)), gate_(runtime) {}

  // Answers calls until the server is shut down, and returns when the last one is answered.
  Task<void> run(grpc::AsyncGenericService& service);

 private:
  struct Call;
  Task<void> serve(std::shared_ptr<Call> call);

  GrpcPump& pump_;
  CallHandler handler_;
  Gate gate_;
};

}  // namespace qlab::runtime
