#pragma once
// Calls between nodes: a call is a message and its reply another (calls.h). A broken link ends the
// calls that wait on it.
//
// Thread: the home shard.

#include <functional>
#include <map>

#include "controller/calls.h"
#include "runtime/async.h"
#include "runtime/transport.h"

namespace qlab::controller {

class CallRouter {
 public:
  // Answers a call that this node or another one made.
  using Serve = std::function<Task<Result<Bytes>>(std::int16_t api_key, Bytes body)>;

  CallRouter(runtime::Runtime& runtime, NodeId self, Serve serve)
      : runtime_(runtime), self_(self), serve_(std::move(serve)), gate_(runtime) {}

  // Asks a node, be it this one. Errors: not_leader, when it cannot be reached; unknown_outcome,
  // when the link broke before the reply came; timed_out; closed; and what the other one answers.
  Task<Result<Bytes>> call(NodeId node, std::int16_t api_key, Bytes body, Time deadline);

  // What the transport brings for channels controller_call and controller_reply. Garbage is
  // dropped.
  void on_call(NodeId from, Bytes payload);
  void on_reply(NodeId from, Bytes payload);
  void on_link_down(NodeId peer);

  // Ends all calls with closed, those to come too.
  void end_calls();
  // The same, and waits for those that it is answering.
  Task<void> stop();
  bool is_stopped() const { return stopped_; }

 private:
  struct Pending {
    NodeId to;
    runtime::Completion<Result<Bytes>> reply;
  };

  Task<void> answer(NodeId to, Call call);
  void finish(std::uint64_t id, Result<Bytes> reply);

  runtime::Runtime& runtime_;
  const NodeId self_;
  const Serve serve_;
  std::map<std::uint64_t, Pending> pending_;
  std::uint64_t last_call_ = 0;
  bool stopped_ = false;
  runtime::Gate gate_;
};

}  // namespace qlab::controller
