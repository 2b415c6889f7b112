#pragma once
// Messages between nodes: one FIFO link to every peer, with up and down told apart by a link epoch.
//
// A link delivers what was sent in order, and loses a suffix when it breaks; ZAB's proof needs just
// that, and the others can live with it. Real: a long-lived stream in each direction, opened by the
// sender, of gRPC or of plain TCP (runtime/real/transports.h). Simulated: a queue with drawn
// delays.

#include <functional>
#include <map>
#include <string>

#include "common/bytes.h"
#include "runtime/network.h"

namespace qlab::runtime {

using LinkEpoch =
    StrongId<struct LinkEpochTag, std::uint32_t>;  // One value per stream that came up; from 1.

// Which part of a node a message is for. A number on the wire: never reuse one.
enum class Channel : std::uint8_t {
  metadata_consensus = 1,
  controller_call = 2,
  controller_reply = 3,
  keeper = 4,
  partition_groups = 5
};
inline constexpr Channel last_channel = Channel::partition_groups;

class TransportHandler {
 public:
  virtual ~TransportHandler() = default;
  // From the shard's executor, in the order in which the peer sent. `link` counts the peer's
  // streams to us.
  virtual void on_message(NodeId from, LinkEpoch link, Channel channel, Bytes payload) = 0;
  // Our stream to `peer` can carry messages now, or broke and lost a suffix of what was sent.
  virtual void on_link_up(NodeId peer, LinkEpoch link) = 0;
  virtual void on_link_down(NodeId peer, LinkEpoch link) = 0;
};

// Answers calls from tools (harness, command line): method name (the last part of gRPC's path, as
// in `Status`) and request bytes in, reply bytes out. The bytes are the messages of
// wire/proto/control.proto, which this folder neither knows nor parses.
using CallHandler =
    std::function<Task<Result<std::string>>(std::string method, std::string request)>;

struct TransportIdentity {
  NodeId node;
  std::string cluster_id;  // A peer with another one is refused, and both say so.
  Endpoint listen;         // Where peers reach us; port 0: any, and told by bound().
  std::map<NodeId, Endpoint>
      peers;  // Whom to keep a link to from the start. Others who connect are linked back.
};

class Transport {
 public:
  virtual ~Transport() = default;

  // Binds, then keeps links to all known peers, reconnecting with backoff for as long as it runs.
  // Requires: `handler` outlives stop(). Errors: exists, when the port is in use; invalid.
  virtual Task<Result<void>> start(TransportIdentity identity, TransportHandler& handler,
                                   CallHandler calls) = 0;
  virtual Task<void> stop() = 0;
  virtual Endpoint bound() const = 0;

  // Queues a message. False: there is no link, or its queue is full (peer_queue_bytes_max); the
  // message is dropped.
  virtual bool send(NodeId to, Channel channel, Bytes payload) = 0;
  // Ends our stream to a peer; it is opened anew with the next link epoch.
  virtual void close_link(NodeId peer) = 0;

  static constexpr std::size_t peer_queue_bytes_max = 64u << 20;
};

}  // namespace qlab::runtime
