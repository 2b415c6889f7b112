#pragma once
// The peers' streams to us.

#include <functional>
#include <map>
#include <memory>
#include <set>

#include "peer.grpc.pb.h"
#include "runtime/real/grpc_link.h"

namespace qlab::runtime {

// Thread: the shard's.
class GrpcInbound {
 public:
  // `on_hello` is told of every peer that was let in, and where it listens.
  GrpcInbound(GrpcParts& parts, std::function<void(NodeId, Endpoint)> on_hello)
      : parts_(parts), on_hello_(std::move(on_hello)), gate_(parts.runtime) {}

  // Takes streams until the server is shut down, and returns when the last one ended.
  Task<void> run(peer::Peer::AsyncService& service);
  // Ends all streams, and refuses new ones.
  void stop();

 private:
  struct Stream;

  Task<void> serve(std::shared_ptr<Stream> stream);
  Task<grpc::Status> converse(std::shared_ptr<Stream> stream);
  grpc::Status judge(const peer::Frame& frame);
  void deliver(Stream& stream, const peer::Batch& batch);

  GrpcParts& parts_;
  std::function<void(NodeId, Endpoint)> on_hello_;
  Gate gate_;
  bool stopping_ = false;
  std::set<Stream*> open_;
  std::map<NodeId, Stream*> current_;   // The newest stream of a peer; older ones are mute.
  std::map<NodeId, LinkEpoch> epochs_;  // Of each peer's newest stream, counted here.
  std::map<NodeId, Time> refusal_logged_;
};

}  // namespace qlab::runtime
