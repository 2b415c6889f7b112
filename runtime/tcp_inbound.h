#pragma once
// The connections of peers and tools to us.

#include <functional>
#include <map>
#include <memory>
#include <set>

#include "runtime/tcp_link.h"

namespace qlab::runtime::tcp {

// Thread: the shard's.
class Inbound {
 public:
  // `on_hello` is told of every peer that was let in, and where it listens.
  Inbound(Parts& parts, CallHandler calls, std::function<void(NodeId, Endpoint)> on_hello)
      : parts_(parts),
        calls_(std::move(calls)),
        on_hello_(std::move(on_hello)),
        gate_(parts.runtime) {}

  // Takes connections until stop(), and returns when the last one ended.
  Task<void> run(std::unique_ptr<Listener> listener);
  // Ends all connections, and takes no more.
  void stop();

 private:
  struct Connection;

  Task<void> serve(std::shared_ptr<Connection> connection);
  Task<void> serve_link(std::shared_ptr<Connection> connection);
  Task<Result<void>> answer_hello(std::shared_ptr<Connection> connection, Bytes answer);
  Task<void> serve_calls(std::shared_ptr<Connection> connection, Call call);
  // Why its sender is not let in; empty when it is.
  std::string judge(const Hello& hello);
  bool deliver(Connection& connection, ByteView frame);

  Parts& parts_;
  const CallHandler calls_;
  const std::function<void(NodeId, Endpoint)> on_hello_;
  Gate gate_;
  bool stopping_ = false;
  Listener* listener_ = nullptr;
  std::set<Connection*> open_;
  std::map<NodeId, Connection*> current_;  // The newest of a peer; older ones are mute.
  std::map<NodeId, LinkEpoch> epochs_;     // Of each peer's newest connection, counted here.
  std::map<NodeId, Time> refusal_logged_;
};

}  // namespace qlab::runtime::tcp
