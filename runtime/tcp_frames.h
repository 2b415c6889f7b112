#pragma once
// The frames between two nodes, and between a tool and a node. All numbers in network order.
//
// A frame: length:u32 of what follows, type:u8, body. On a link:
//   hello    magic:u64 node:i32 link_epoch:u32 cluster:text endpoint:text   first in each direction
//   refusal  words                                             in place of the receiver's hello
//   message  channel:u8 payload                                sender to receiver
//   ping     (nothing)                                         sender to receiver
//   pong     (nothing)                                         its answer
// On a tool's connection, any number of times, one under way:
//   call     method:text request                               tool to node
//   answer   is_good:u8, reply or words                        node to tool
// text: length:u16 bytes.

#include "common/bytes.h"
#include "runtime/transport.h"

namespace qlab::runtime::tcp {

enum class FrameType : std::uint8_t {
  hello = 1,
  refusal = 2,
  message = 3,
  ping = 4,
  pong = 5,
  call = 6,
  answer = 7
};

// Above what one link may queue, so that whatever was taken for sending can be received.
constexpr std::size_t frame_bytes_max = Transport::peer_queue_bytes_max + (1u << 20);
constexpr std::size_t call_bytes_max = 16u << 20;
constexpr Duration ping_interval = std::chrono::seconds(2);

struct Hello {
  NodeId node;
  std::string cluster_id;
  std::string endpoint;  // Where the sender listens for links, host:port.
  LinkEpoch link_epoch;
};

Bytes encode(const Hello& hello);
// Of a frame's body. Errors: corrupt.
Result<Hello> decode_hello(ByteView body);

struct Call {
  std::string method;
  std::string request;
};
// Errors: corrupt.
Result<Call> decode_call(ByteView body);

// A frame of `type` with this body.
Bytes frame(FrameType type, ByteView body);
// The first bytes of a message's frame; its payload follows.
void put_message_head(BytesWriter& out, Channel channel, std::size_t payload_bytes);

}  // namespace qlab::runtime::tcp
