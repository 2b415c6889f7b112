#pragma once
// Between a client and a consensus node, over TCP. All numbers in network order.
//
// A frame: length:u32 of what follows, then
//   request  kind:u8 sequence:u64 body        body: of propose, the entry; else nothing
//   reply    kind:u8 sequence:u64 fate:u8 leader:i32 epoch:i64 index:i64 body
// The sequence is the client's own and comes back as it was; replies may overtake each other. Of a
// committed proposal (epoch, index) is its place in the log. Leader -1: nobody known. The body of a
// reply to read is the register, to status a line of key=value.

#include "common/bytes.h"
#include "common/ids.h"

namespace qlab::wire::consensus {

enum class RequestKind : std::uint8_t { propose = 1, read = 2, status = 3 };

constexpr std::size_t length_bytes = 4;
constexpr std::size_t request_head_bytes = 1 + 8;
constexpr std::size_t reply_head_bytes = 1 + 8 + 1 + 4 + 8 + 8;
constexpr std::size_t body_bytes_max = 1u << 20;

// What became of a request; the first five are consensus::Fate's.
enum class ReplyFate : std::uint8_t {
  committed = 0,
  rejected = 1,  // Not here: ask `leader`. Nothing was appended.
  superseded = 2,
  unknown = 3,
  overloaded = 4,
};

struct Request {
  RequestKind kind = RequestKind::propose;
  std::uint64_t sequence = 0;
  ByteView body;  // Part of the frame it was decoded from.
};

struct Reply {
  RequestKind kind = RequestKind::propose;
  std::uint64_t sequence = 0;
  ReplyFate fate = ReplyFate::committed;
  std::int32_t leader = -1;
  std::int64_t epoch = 0;
  std::int64_t index = 0;
  ByteView body;
};

inline void put(BytesWriter& out, const Request& request) {
  out.put(static_cast<std::uint32_t>(request_head_bytes + request.body.size()));
  out.put(static_cast<std::uint8_t>(request.kind));
  out.put(request.sequence);
  out.put_bytes(request.body);
}

inline void put(BytesWriter& out, const Reply& reply) {
  out.put(static_cast<std::uint32_t>(reply_head_bytes + reply.body.size()));
  out.put(static_cast<std::uint8_t>(reply.kind));
  out.put(reply.sequence);
  out.put(static_cast<std::uint8_t>(reply.fate));
  out.put(reply.leader);
  out.put(reply.epoch);
  out.put(reply.index);
  out.put_bytes(reply.body);
}

// Of a frame without its length. Errors: corrupt.
inline Result<Request> decode_request(ByteView frame) {
  BytesReader in(frame);
  Request request;
  const auto kind = in.get<std::uint8_t>();
  if (kind < 1 || kind > 3) in.fail_with("a request's kind");
  request.kind = static_cast<RequestKind>(kind);
  request.sequence = in.get<std::uint64_t>();
  request.body = in.get_bytes(in.left());
  if (request.body.size() > body_bytes_max) in.fail_with("a body of more than 1 MiB");
  TRY_VOID(in.status());
  return request;
}

inline Result<Reply> decode_reply(ByteView frame) {
  BytesReader in(frame);
  Reply reply;
  reply.kind = static_cast<RequestKind>(in.get<std::uint8_t>());
  reply.sequence = in.get<std::uint64_t>();
  const auto fate = in.get<std::uint8_t>();
  if (fate > static_cast<std::uint8_t>(ReplyFate::overloaded)) in.fail_with("a reply's fate");
  reply.fate = static_cast<ReplyFate>(fate);
  reply.leader = in.get<std::int32_t>();
  reply.epoch = in.get<std::int64_t>();
  reply.index = in.get<std::int64_t>();
  reply.body = in.get_bytes(in.left());
  TRY_VOID(in.status());
  return reply;
}

}  // namespace qlab::wire::consensus
