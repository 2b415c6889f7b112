#pragma once
// One client connection to a system under test. A file per system: ours.cc, etcd.cc, zookeeper.cc.

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "common/bytes.h"
#include "common/result.h"

namespace qlab::experiments {

// What became of a write: ok, fail (it certainly did not happen), info (nobody knows).
enum class WriteOutcome : std::uint8_t { ok, fail, info };

class WriteClient {
 public:
  // Called once for each write, from a thread of the client's; it may send() again.
  using Done =
      std::function<void(std::uint64_t number, WriteOutcome outcome, std::string_view error)>;

  virtual ~WriteClient() = default;
  // Connects, waiting a while for the system to be there. Errors: io, timed_out.
  virtual Result<void> start(Done done) = 0;
  // Sends a write. A connection that broke is made anew by and by; until then writes fail.
  // Thread: any.
  virtual void send(std::uint64_t number) = 0;
  // Ends its threads; what is not answered is completed as info, or forgotten.
  virtual void stop() = 0;
};

// Every write carries `value`, whose first 8 bytes are its number.
Result<std::unique_ptr<WriteClient>> make_our_client(std::string endpoint, Bytes value);
Result<std::unique_ptr<WriteClient>> make_etcd_client(std::string endpoint, Bytes value);
// Errors: unsupported, where ZooKeeper's C library was not there when this was built.
Result<std::unique_ptr<WriteClient>> make_zookeeper_client(std::string endpoint, Bytes value);

}  // namespace qlab::experiments
