#pragma once
// One node of a process that may carry several: its shards on threads of their own, its directory,
// its life from start to end.
//
// Nodes of one process share no state, no thread and no lock. They stay as far apart as processes
// would be, so that one of them can be killed, and so that one that is busy does not make the
// heartbeats of its neighbours late.

#include <functional>
#include <memory>

#include "broker/config.h"
#include "broker/node.h"
#include "runtime/real/directory_lock.h"
#include "runtime/real/real_runtime.h"

namespace qlab::broker {

// Of a process, and of each of its nodes.
inline constexpr int exit_done = 0;
inline constexpr int exit_refused = 2;  // The config or the start.
inline constexpr int exit_fatal = 3;    // The node could not go on.
inline constexpr int exit_killed = 4;   // By a call; of a node alone, never of a process.

enum class Ending : std::uint8_t {
  controlled,  // Hands over what it leads.
  killed,      // As after SIGKILL: sockets close, nobody is told, no clean shutdown is noted.
};

struct HostedEvents {
  // It serves at these addresses; a node that is no broker has no first one. Thread: the node's.
  std::function<void(const std::optional<runtime::Endpoint>& kafka, const runtime::Endpoint& peer)>
      on_ready;
  // Its life is over but for the destructor. `refusal`: why it did not start. Thread: the node's.
  std::function<void(int status, std::optional<Error> refusal)> on_ended;
};

class HostedNode {
 public:
  // Takes the directory and begins to start. Errors: exists, when a process or another node has
  // the directory; invalid; io.
  static Result<std::unique_ptr<HostedNode>> start(NodeConfig config, HostedEvents events);
  // Requires: on_ended was called, or is going to be.
  ~HostedNode();

  // Ends it, soon; of several endings the first counts. One that starts ends when it has started.
  // Thread: any.
  void end(Ending how);

 private:
  HostedNode(NodeConfig config, HostedEvents events, runtime::DirectoryLock lock,
             std::unique_ptr<runtime::RealShards> shards);
  void finish();
  Task<void> live();
  void ask(Ending how);  // Thread: the node's.

  const NodeConfig config_;
  const HostedEvents events_;
  std::optional<runtime::DirectoryLock> lock_;
  std::unique_ptr<runtime::RealShards> shards_;
  std::unique_ptr<Node> node_;
  std::unique_ptr<runtime::Event> asked_;
  std::optional<Ending> ending_;
  int status_ = exit_done;
  std::optional<Error> refusal_;
};

}  // namespace qlab::broker
