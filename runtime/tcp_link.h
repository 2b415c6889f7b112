#pragma once
// Our connection to one peer: connects, says hello, carries what is queued, and does so again for
// as long as the transport runs.

#include <deque>
#include <string>

#include "runtime/async.h"
#include "runtime/frame_reader.h"
#include "runtime/tcp_frames.h"
#include "runtime/transport.h"

namespace qlab::runtime::tcp {

// What all connections of a transport share. Lifetime: until the transport stopped.
struct Parts {
  Runtime& runtime;
  TransportHandler& handler;
  TransportIdentity self;  // `listen` holds the port that was bound.

  std::string who() const { return fmt::format("node {}", self.node); }
};

// How a connection ended.
struct LinkEnd {
  bool refused = false;  // By either side, for a reason that stays: see why.
  std::string why;
};

// Thread: the shard's.
class Link {
 public:
  // The pace of gRPC's links, so that the two plugs differ in what they cost only.
  static constexpr Duration backoff_min = std::chrono::milliseconds(50);
  static constexpr Duration backoff_max = std::chrono::seconds(1);
  // Between two attempts after a refusal, which only a new configuration of one side can cure.
  static constexpr Duration refused_pause = std::chrono::seconds(5);
  static constexpr Duration refused_log_interval = std::chrono::minutes(1);
  // From the first packet to the peer's hello.
  static constexpr Duration connect_max = std::chrono::seconds(1);
  // A link that lasted this long counts as good: the next attempts start from backoff_min again.
  static constexpr Duration settled_min = std::chrono::seconds(1);
  // Up to here a payload is copied beside its neighbours; a larger one is a piece of its own.
  static constexpr std::size_t copied_bytes_max = 8u << 10;
  static constexpr std::size_t write_bytes_max = 1u << 20;

  Link(Parts& parts, NodeId peer, Endpoint endpoint)
      : parts_(parts),
        peer_(peer),
        endpoint_(std::move(endpoint)),
        changed_(parts.runtime),
        ended_(parts.runtime) {}

  // Keeps a connection until stop().
  Task<void> run();
  void stop();

  bool send(Channel channel, Bytes payload);  // Transport::send
  void close();                               // Transport::close_link

  // The peer was just heard of: whatever failed before is worth another attempt at once.
  void retry_now();
  // Takes effect with the next attempt.
  void move_to(Endpoint endpoint) { endpoint_ = std::move(endpoint); }

 private:
  struct Queued {
    Channel channel;
    Bytes payload;
  };
  struct Batch;  // What one write sends.

  Task<LinkEnd> one_connection();
  Task<LinkEnd> say_hello(Stream& stream, FrameReader& reader);
  Task<void> carry(Stream& stream, FrameReader& reader);
  Task<void> write_queue(Stream& stream);
  Task<void> watch(Stream& stream);
  Task<void> hear_pongs(FrameReader& reader);
  void take_batch(Batch& batch);
  Task<void> pause(Duration backoff);
  void shut();
  void report(const LinkEnd& end);

  Parts& parts_;
  const NodeId peer_;
  Endpoint endpoint_;
  Event changed_;  // The queue has something, or a flag below changed.
  Event ended_;    // The connection did.
  bool stopping_ = false;
  bool retry_now_ = false;
  Stream* stream_ = nullptr;  // The one under way.
  bool up_ = false;           // Messages are taken.
  bool ping_due_ = false;
  LinkEpoch epoch_{0};  // Of the last connection that came up.
  Time heard_;          // When the peer last said anything on it.
  std::deque<Queued> queue_;
  std::size_t queue_bytes_ = 0;  // <= peer_queue_bytes_max; each counted with its overhead.
  std::string refusal_;          // The last one, and when it was logged.
  Time refusal_logged_;
};

}  // namespace qlab::runtime::tcp
