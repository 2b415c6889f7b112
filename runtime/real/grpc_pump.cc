#include "runtime/real/grpc_pump.h"

#include <boost/asio/post.hpp>

#include "common/check.h"

namespace qlab::runtime {

GrpcPump::GrpcPump(Executor home, std::unique_ptr<grpc::ServerCompletionQueue> queue)
    : home_(home), queue_(std::move(queue)), poller_([this] { poll(); }) {}

GrpcPump::~GrpcPump() {
  CHECK_MSG(!poller_.joinable(), "the transport was not stopped");
}

void GrpcPump::poll() {
  void* tag = nullptr;
  bool ok = false;
  while (queue_->Next(&tag, &ok)) {
    std::unique_ptr<Waiter<bool>> waiter(static_cast<Waiter<bool>*>(tag));
    boost::asio::post(home_, [this, ok, waiter = std::move(waiter)] {
      CHECK(under_way_ > 0);
      --under_way_;
      waiter->resume(ok);
    });
  }
}

void GrpcPump::stop() {
  CHECK(under_way_ == 0);
  queue_->Shutdown();
  poller_.join();
}

}  // namespace qlab::runtime
