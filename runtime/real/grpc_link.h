#pragma once
// Our stream to one peer: connects, says hello, carries what is queued, and does so again for as
// long as the transport runs.

#include <deque>
#include <string>

#include <grpcpp/client_context.h>

#include "runtime/async.h"
#include "runtime/real/grpc_pump.h"
#include "runtime/transport.h"

namespace qlab::runtime {

// What all streams of a transport share. Lifetime: until the transport stopped.
struct GrpcParts {
  Runtime& runtime;
  GrpcPump& pump;
  TransportHandler& handler;
  TransportIdentity self;  // `listen` holds the port that was bound.

  std::string who() const { return fmt::format("node {}", self.node); }
};

// How a stream ended.
struct StreamEnd {
  bool refused = false;  // By either side, for a reason that stays: see why.
  std::string why;
};

// Thread: the shard's.
class GrpcLink {
 public:
  static constexpr Duration backoff_min = std::chrono::milliseconds(50);
  static constexpr Duration backoff_max = std::chrono::seconds(1);
  // Between two attempts after a refusal, which only a new configuration of one side can cure.
  static constexpr Duration refused_pause = std::chrono::seconds(5);
  static constexpr Duration refused_log_interval = std::chrono::minutes(1);
  // From the first packet to the peer's hello.
  static constexpr Duration connect_max = std::chrono::seconds(1);
  // A stream that lasted this long counts as good: the next attempts start from backoff_min again.
  static constexpr Duration settled_min = std::chrono::seconds(1);
  static constexpr std::size_t batch_bytes_max = 64u << 10;

  GrpcLink(GrpcParts& parts, NodeId peer, Endpoint endpoint)
      : parts_(parts), peer_(peer), endpoint_(std::move(endpoint)), changed_(parts.runtime) {}

  // Keeps a stream until stop().
  Task<void> run();
  void stop();

  bool send(Channel channel, Bytes payload);  // Transport::send
  void close();                               // Transport::close_link

  // The peer was just heard of: whatever failed before is worth another attempt at once.
  void retry_now();
  // Takes effect with the next attempt.
  void move_to(Endpoint endpoint) { endpoint_ = std::move(endpoint); }

 private:
  struct Attempt;
  struct Queued {
    Channel channel;
    Bytes payload;
  };

  Task<StreamEnd> one_stream();
  Task<StreamEnd> say_hello(Attempt& attempt);
  Task<void> carry(Attempt& attempt);
  Task<void> write_queue(Attempt& attempt);
  Task<void> pause(Duration backoff);
  void shut();
  void report(const StreamEnd& end);

  GrpcParts& parts_;
  const NodeId peer_;
  Endpoint endpoint_;
  Event changed_;  // The queue has something, or a flag below changed.
  bool stopping_ = false;
  bool retry_now_ = false;
  Attempt* attempt_ = nullptr;  // The one under way.
  bool up_ = false;             // Messages are taken.
  LinkEpoch epoch_{0};          // Of the last stream that came up.
  std::deque<Queued> queue_;
  std::size_t queue_bytes_ = 0;  // <= peer_queue_bytes_max; each counted with its overhead.
  std::string refusal_;          // The last one, and when it was logged.
  Time refusal_logged_;
};

}  // namespace qlab::runtime
