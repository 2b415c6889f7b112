#pragma once
// What a client of a keeper and a server say to each other: ZooKeeper's client protocol.
//
// A frame is length:i32 and that many bytes. The first request is a ConnectRequest without a
// header, and its answer a ConnectReply; then come xid:i32 type:i32 and the body of a request, and
// xid:i32 zxid:i64 err:i32 and, when err is 0, the body of a reply. A reply with notification_xid
// is a watch event.
//
// Source: zookeeper.jute of Apache ZooKeeper 3.8.

#include <string>
#include <vector>

#include "wire/keeper/codes.h"
#include "wire/keeper/jute.h"

namespace qlab::wire::keeper {

struct Stat {
  std::int64_t czxid = 0;  // Of the transaction that created it.
  std::int64_t mzxid = 0;  // Of the one that last changed its data.
  std::int64_t ctime = 0;  // Milliseconds since 1970.
  std::int64_t mtime = 0;
  std::int32_t version = 0;
  std::int32_t cversion = 0;
  std::int32_t aversion = 0;
  std::int64_t ephemeral_owner = 0;  // codes.h
  std::int32_t data_length = 0;
  std::int32_t num_children = 0;
  std::int64_t pzxid = 0;  // Of the transaction that last changed its list of children.
  bool operator==(const Stat&) const = default;
};

struct Acl {
  std::int32_t perms = 0;
  std::string scheme;
  std::string id;
  bool operator==(const Acl&) const = default;
};
inline constexpr std::int32_t all_perms = 31;

struct ConnectRequest {
  std::int32_t protocol = 0;
  std::int64_t last_zxid_seen = 0;
  std::int32_t timeout_ms = 0;
  std::int64_t session = 0;  // 0: a new one.
  Bytes password;
  bool has_read_only = true;  // Clients before 3.4 do not send the last field, nor read it.
  bool read_only = false;
  bool operator==(const ConnectRequest&) const = default;
};

struct ConnectReply {
  std::int32_t timeout_ms = 0;  // What was agreed upon; 0: the session is over.
  std::int64_t session = 0;
  Bytes password;
  bool has_read_only = true;
  bool operator==(const ConnectReply&) const = default;
};
inline constexpr std::size_t password_bytes = 16;

// A request of any type but auth; which fields it has, by type.
struct Request {
  OpCode op = OpCode::ping;
  std::string path;            // All but ping, multi, set_watches, close_session, create_session.
  Data data;                   // Creates, set_data; the password of create_session.
  std::vector<Acl> acl;        // Creates, set_acl.
  std::int32_t flags = 0;      // Creates.
  std::int64_t ttl = 0;        // create_ttl, in milliseconds.
  std::int32_t version = -1;   // remove, set_data, set_acl, check; -1: any.
  bool watch = false;          // exists, get_data, get_children, get_children2.
  std::int32_t mode = 0;       // add_watch, remove_watches, check_watches; create_session: timeout.
  std::vector<Request> parts;  // multi, multi_read.
  // set_watches, set_watches2:
  std::int64_t relative_zxid = 0;
  std::vector<std::string> data_watches;
  std::vector<std::string> exist_watches;
  std::vector<std::string> child_watches;
  std::vector<std::string> persistent_watches;
  std::vector<std::string> recursive_watches;
  bool operator==(const Request&) const = default;
};

struct ReplyHeader {
  std::int32_t xid = 0;
  std::int64_t zxid = 0;
  ErrorCode error = ErrorCode::ok;
};

struct WatchEvent {
  EventType type = EventType::node_created;
  std::string path;
  bool operator==(const WatchEvent&) const = default;
};

// One answer of a multi.
struct PartHeader {
  OpCode op = OpCode::error;
  bool done = false;
  std::int32_t error = -1;
};

void put(BytesWriter& out, const ConnectRequest& request);
void put(BytesWriter& out, const ConnectReply& reply);
void put(BytesWriter& out, const Stat& stat);
void put(BytesWriter& out, const std::vector<Acl>& acl);
void put(BytesWriter& out, const ReplyHeader& header);
void put(BytesWriter& out, const WatchEvent& event);  // Without its header.
void put(BytesWriter& out, const PartHeader& header);
void put_body(BytesWriter& out, const Request& request);

// Of whole frames without their length, or of bodies. Errors: corrupt.
Result<ConnectRequest> decode_connect(ByteView frame);
Result<ConnectReply> decode_connect_reply(ByteView frame);
// Errors: corrupt; unsupported, for a type that has no body here.
Result<Request> decode_body(OpCode op, ByteView body);

Stat get_stat(BytesReader& in);
std::vector<Acl> get_acl(BytesReader& in);
ReplyHeader get_reply_header(BytesReader& in);
WatchEvent get_event(BytesReader& in);
PartHeader get_part_header(BytesReader& in);

}  // namespace qlab::wire::keeper
