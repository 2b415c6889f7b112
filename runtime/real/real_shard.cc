#include "runtime/real/real_shard.h"

#include <boost/asio/executor_work_guard.hpp>

#include "common/check.h"
#include "runtime/real/transports.h"

namespace qlab::runtime {

RealShard::RealShard(std::filesystem::path root, TraceSink& trace, Prng random)
    : trace_(trace),
      random_(random),
      timers_(context_),
      disk_(std::move(root), *this),
      network_(*this) {}

void RealShard::add_transport(std::string_view name) {
  transport_ = make_transport(name, *this);
}

RealShard::~RealShard() {
  context_.shutdown();
}

WallMillis RealShard::wall_now() const {
  const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<WallMillis>(since_1970);
}

TimerId RealShard::call_at(Time due, std::function<void()> callback) {
  return timers_.call_at(due, std::move(callback));
}

void RealShard::cancel(TimerId timer) {
  timers_.cancel(timer);
}

Transport& RealShard::transport() {
  CHECK_MSG(transport_ != nullptr, "the transport lives on shard 0");
  return *transport_;
}

void RealShard::serve() {
  const auto guard = boost::asio::make_work_guard(context_);
  context_.run();
  disk_.drain();
}

}  // namespace qlab::runtime
