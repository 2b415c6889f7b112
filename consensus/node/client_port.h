#pragma once
// Where clients of a consensus node connect: takes proposals, reads and questions about its state.
//
// Proposals that come in one turn of the shard's executor, from whichever connection, are proposed
// together; replies that are ready together leave in one write.
//
// Source: wire/consensus/client_frames.h.

#include <memory>
#include <set>
#include <vector>

#include "consensus/driver.h"
#include "consensus/node/register.h"
#include "runtime/network.h"

namespace qlab::consensus::node {

// Thread: the driver's shard.
class ClientPort {
 public:
  // Proposals of one connection that are read and not answered; then it is read no further.
  static constexpr std::size_t open_bytes_max = 64u << 20;
  static constexpr std::size_t batch_bytes_max = 1u << 20;  // Proposed together.

  // Requires: all outlive stop().
  ClientPort(runtime::Runtime& runtime, Driver& driver, const Register& machine);

  void start(std::unique_ptr<runtime::Listener> listener);
  // Ends all connections. Requires: the driver is stopped, so that nobody waits for it.
  Task<void> stop();

 private:
  class Connection;
  struct Asked {
    std::shared_ptr<Connection> by;
    std::uint64_t sequence = 0;
    std::size_t bytes = 0;
  };
  struct Batch {
    std::vector<Bytes> bodies;
    std::vector<Asked> asked;  // By the same index.
    std::size_t bytes = 0;
  };

  Task<void> accept_loop();
  Task<void> serve(std::shared_ptr<Connection> connection);
  Task<void> propose_soon();
  void hand_in();
  Task<void> propose(std::shared_ptr<Batch> batch);
  Task<void> read(Asked asked);
  void add(Asked asked, ByteView body);
  std::string status_line() const;

  runtime::Runtime& runtime_;
  Driver& driver_;
  const Register& machine_;
  std::unique_ptr<runtime::Listener> listener_;
  std::set<std::shared_ptr<Connection>> connections_;
  std::shared_ptr<Batch> gathering_;
  bool stopping_ = false;
  runtime::Gate gate_;
};

}  // namespace qlab::consensus::node
