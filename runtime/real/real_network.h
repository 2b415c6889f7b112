#pragma once
// TCP. Every socket has Nagle's delay off.

#include <memory>

#include "runtime/network.h"

namespace qlab::runtime {

class OpenSockets;  // The streams and listeners of one shard.

class RealNetwork final : public Network {
 public:
  explicit RealNetwork(Runtime& runtime);
  ~RealNetwork() override;

  Task<Result<std::unique_ptr<Listener>>> listen(Endpoint endpoint) override;
  Task<Result<std::unique_ptr<Stream>>> connect(Endpoint endpoint, Duration timeout) override;

  // Closes every stream and listener, as the kernel does for a process that was killed; whoever
  // wants another one is told `closed`. Thread: the shard's.
  void cut_off();

 private:
  Runtime& runtime_;
  const std::shared_ptr<OpenSockets> open_;  // Who holds a stream may outlive the network.
};

}  // namespace qlab::runtime
