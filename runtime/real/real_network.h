#pragma once
// TCP. Every socket has Nagle's delay off.

#include "runtime/network.h"

namespace qlab::runtime {

class RealNetwork final : public Network {
 public:
  explicit RealNetwork(Runtime& runtime) : runtime_(runtime) {}

  Task<Result<std::unique_ptr<Listener>>> listen(Endpoint endpoint) override;
  Task<Result<std::unique_ptr<Stream>>> connect(Endpoint endpoint, Duration timeout) override;

 private:
  Runtime& runtime_;
};

}  // namespace qlab::runtime
