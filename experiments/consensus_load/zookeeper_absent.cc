// Built where ZooKeeper's C library is missing.

#include "experiments/consensus_load/client.h"

namespace qlab::experiments {

Result<std::unique_ptr<WriteClient>> make_zookeeper_client(std::string, Bytes) {
  return fail(Errc::unsupported,
              "--system=zookeeper: this was built without libzookeeper-mt-dev; allowed are ours, "
              "etcd");
}

}  // namespace qlab::experiments
