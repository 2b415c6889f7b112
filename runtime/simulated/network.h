#pragma once
// Byte streams between simulated nodes. A host is reached by its name, node-<id>.

#include <memory>
#include <set>

#include "runtime/network.h"

namespace qlab::runtime {

class Fabric;
class SimulatedListener;
class SimulatedNode;

class SimulatedNetwork final : public Network {
 public:
  SimulatedNetwork(SimulatedNode& node, Fabric& fabric) : node_(node), fabric_(fabric) {}

  // The host is the node's own name or a name of the local host; local() says the node's.
  Task<Result<std::unique_ptr<Listener>>> listen(Endpoint endpoint) override;
  // A host that is down without a word, and one behind a partition, time out; one whose process
  // died refuses.
  Task<Result<std::unique_ptr<Stream>>> connect(Endpoint endpoint, Duration timeout) override;

  // For the node: the end of a life.
  void crash();

 private:
  friend class SimulatedListener;
  SimulatedNode& node_;
  Fabric& fabric_;
  std::set<Endpoint> listening_;
};

}  // namespace qlab::runtime
