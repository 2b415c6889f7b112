#pragma once
// Producer ids for idempotent producers: taken from the controller a block at a time (KIP-730).

#include "broker/lifecycle.h"
#include "controller/controller.h"

namespace qlab::broker {

// Thread: the home shard.
class ProducerIds {
 public:
  ProducerIds(controller::Controller& controller, const Lifecycle& lifecycle, NodeId self)
      : controller_(controller), lifecycle_(lifecycle), self_(self) {}

  // An id that nobody had before. Ids of a block that was given twice at once are lost, no more.
  // Errors: those of allocate_producer_ids; fenced, before the registration.
  Task<Result<ProducerId>> next(Time deadline) {
    if (left_ == 0) {
      if (!lifecycle_.epoch()) co_return fail(Errc::fenced, "this broker is not registered yet");
      CO_TRY(const controller::ProducerIdBlock block,
             co_await controller_.allocate_producer_ids(self_, *lifecycle_.epoch(), deadline));
      next_ = block.first;
      left_ = block.count;
    }
    if (left_ <= 0) co_return fail(Errc::overloaded, "the controller gave no producer ids");
    --left_;
    co_return std::exchange(next_, next_.next());
  }

 private:
  controller::Controller& controller_;
  const Lifecycle& lifecycle_;
  const NodeId self_;
  ProducerId next_;
  std::int32_t left_ = 0;  // Ids from next_ on that are ours.
};

}  // namespace qlab::broker
