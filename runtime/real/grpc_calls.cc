#include "runtime/real/grpc_calls.h"

#include <grpcpp/support/byte_buffer.h>

namespace qlab::runtime {
namespace {

constexpr std::string_view service_path = "/qlab.control.Control/";

grpc::StatusCode code_of(Errc code) {
  switch (code) {
    case Errc::invalid:
    case Errc::corrupt:
      return grpc::StatusCode::INVALID_ARGUMENT;
    case Errc::not_found:
      return grpc::StatusCode::NOT_FOUND;
    case Errc::exists:
      return grpc::StatusCode::ALREADY_EXISTS;
    case Errc::unsupported:
      return grpc::StatusCode::UNIMPLEMENTED;
    case Errc::overloaded:
      return grpc::StatusCode::RESOURCE_EXHAUSTED;
    case Errc::timed_out:
      return grpc::StatusCode::DEADLINE_EXCEEDED;
    case Errc::not_leader:
    case Errc::closed:
    case Errc::aborted:
      return grpc::StatusCode::UNAVAILABLE;
    default:
      return grpc::StatusCode::INTERNAL;
  }
}

std::string text_of(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string text;
  if (!buffer.Dump(&slices).ok()) return text;
  text.reserve(buffer.Length());
  for (const grpc::Slice& slice : slices) {
    text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return text;
}

}  // namespace

struct GrpcCalls::Call {
  grpc::GenericServerContext context;
  grpc::GenericServerAsyncReaderWriter messages{&context};
};

Task<void> GrpcCalls::run(grpc::AsyncGenericService& service) {
  for (;;) {
    auto call = std::make_shared<Call>();
    auto request = [this, &service, &call](void* tag) {
      service.RequestCall(&call->context, &call->messages, pump_.queue(), pump_.queue(), tag);
    };
    const bool ok = co_await pump_.run(std::move(request));
    if (!ok) break;
    gate_.start([this, call] { return serve(call); });
  }
  co_await gate_.close();
}

Task<void> GrpcCalls::serve(std::shared_ptr<Call> call) {
  grpc::ByteBuffer request;
  grpc::ByteBuffer reply;
  grpc::Status status;
  auto read = [&call, &request](void* tag) { call->messages.Read(&request, tag); };
  const bool arrived = co_await pump_.run(std::move(read));
  const std::string path = call->context.method();
  if (!arrived) {
    status = grpc::Status(grpc::StatusCode::CANCELLED, "no request came");
  } else if (!path.starts_with(service_path)) {
    status = grpc::Status(grpc::StatusCode::UNIMPLEMENTED, "this node does not know " + path);
  } else if (gate_.running() > under_way_max) {
    status = grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "too many calls are under way");
  } else {
    std::string method = path.substr(service_path.size());
    auto answer = co_await handler_(std::move(method), text_of(request));
    if (answer) {
      const grpc::Slice slice(*answer);
      reply = grpc::ByteBuffer(&slice, 1);
    } else {
      status = grpc::Status(code_of(answer.error().code), answer.error().message());
    }
  }
  auto finish = [&](void* tag) {
    if (status.ok()) {
      call->messages.WriteAndFinish(reply, grpc::WriteOptions(), status, tag);
    } else {
      call->messages.Finish(status, tag);
    }
  };
  co_await pump_.run(std::move(finish));
}

}  // namespace qlab::runtime
