#include "wire/keeper/messages.h"

namespace qlab::wire::keeper {
namespace {

constexpr std::size_t acl_bytes_min = 12;
constexpr std::size_t parts_max = 10'000;  // Of one multi.

bool is_create(OpCode op) {
  return op == OpCode::create || op == OpCode::create2 || op == OpCode::create_container ||
         op == OpCode::create_ttl;
}
bool is_watched_read(OpCode op) {
  return op == OpCode::exists || op == OpCode::get_data || op == OpCode::get_children ||
         op == OpCode::get_children2;
}
bool has_mode(OpCode op) {
  return op == OpCode::add_watch || op == OpCode::remove_watches || op == OpCode::check_watches;
}
bool has_path_only(OpCode op) {
  return op == OpCode::get_acl || op == OpCode::sync || op == OpCode::get_ephemerals ||
         op == OpCode::get_all_children_number || op == OpCode::delete_container;
}
bool has_no_body(OpCode op) {
  return op == OpCode::ping || op == OpCode::close_session;
}
bool may_be_part(OpCode whole, OpCode part) {
  if (whole == OpCode::multi_read) {
    return part == OpCode::get_data || part == OpCode::get_children;
  }
  return is_create(part) || part == OpCode::remove || part == OpCode::set_data ||
         part == OpCode::check;
}

void put_path_and_more(BytesWriter& out, const Request& request) {
  put_string(out, request.path);
  if (is_create(request.op)) {
    put_data(out, request.data);
    put(out, request.acl);
    out.put(request.flags);
    if (request.op == OpCode::create_ttl) out.put(request.ttl);
  } else if (is_watched_read(request.op)) {
    put_bool(out, request.watch);
  } else if (has_mode(request.op)) {
    out.put(request.mode);
  } else if (!has_path_only(request.op)) {
    if (request.op == OpCode::set_data) put_data(out, request.data);
    if (request.op == OpCode::set_acl) put(out, request.acl);
    out.put(request.version);
  }
}

void get_path_and_more(BytesReader& in, Request& request) {
  request.path = get_string(in);
  if (is_create(request.op)) {
    request.data = get_data(in);
    request.acl = get_acl(in);
    request.flags = in.get<std::int32_t>();
    if (request.op == OpCode::create_ttl) request.ttl = in.get<std::int64_t>();
  } else if (is_watched_read(request.op)) {
    request.watch = get_bool(in);
  } else if (has_mode(request.op)) {
    request.mode = in.get<std::int32_t>();
  } else if (!has_path_only(request.op)) {
    if (request.op == OpCode::set_data) request.data = get_data(in);
    if (request.op == OpCode::set_acl) request.acl = get_acl(in);
    request.version = in.get<std::int32_t>();
  }
}

void get_body(BytesReader& in, Request& request);

void get_parts(BytesReader& in, Request& request) {
  for (;;) {
    const PartHeader header = get_part_header(in);
    if (!in.ok() || header.done) return;
    if (!may_be_part(request.op, header.op)) return in.fail_with("a part of a multi of that type");
    if (request.parts.size() == parts_max) return in.fail_with("a multi of more than 10000 parts");
    Request part;
    part.op = header.op;
    get_body(in, part);
    request.parts.push_back(std::move(part));
  }
}

void get_watches(BytesReader& in, Request& request) {
  request.relative_zxid = in.get<std::int64_t>();
  request.data_watches = get_strings(in);
  request.exist_watches = get_strings(in);
  request.child_watches = get_strings(in);
  if (request.op == OpCode::set_watches) return;
  request.persistent_watches = get_strings(in);
  request.recursive_watches = get_strings(in);
}

void get_body(BytesReader& in, Request& request) {
  switch (request.op) {
    case OpCode::multi:
    case OpCode::multi_read:
      return get_parts(in, request);
    case OpCode::set_watches:
    case OpCode::set_watches2:
      return get_watches(in, request);
    case OpCode::create_session:
      request.mode = in.get<std::int32_t>();
      request.data = get_data(in);
      return;
    default:
      if (!has_no_body(request.op)) get_path_and_more(in, request);
  }
}

}  // namespace

void put(BytesWriter& out, const ConnectRequest& request) {
  out.put(request.protocol);
  out.put(request.last_zxid_seen);
  out.put(request.timeout_ms);
  out.put(request.session);
  put_data(out, ByteView(request.password));
  if (request.has_read_only) put_bool(out, request.read_only);
}

void put(BytesWriter& out, const ConnectReply& reply) {
  out.put(std::int32_t{0});
  out.put(reply.timeout_ms);
  out.put(reply.session);
  put_data(out, ByteView(reply.password));
  if (reply.has_read_only) put_bool(out, false);
}

void put(BytesWriter& out, const Stat& stat) {
  out.put(stat.czxid);
  out.put(stat.mzxid);
  out.put(stat.ctime);
  out.put(stat.mtime);
  out.put(stat.version);
  out.put(stat.cversion);
  out.put(stat.aversion);
  out.put(stat.ephemeral_owner);
  out.put(stat.data_length);
  out.put(stat.num_children);
  out.put(stat.pzxid);
}

Stat get_stat(BytesReader& in) {
  Stat stat;
  stat.czxid = in.get<std::int64_t>();
  stat.mzxid = in.get<std::int64_t>();
  stat.ctime = in.get<std::int64_t>();
  stat.mtime = in.get<std::int64_t>();
  stat.version = in.get<std::int32_t>();
  stat.cversion = in.get<std::int32_t>();
  stat.aversion = in.get<std::int32_t>();
  stat.ephemeral_owner = in.get<std::int64_t>();
  stat.data_length = in.get<std::int32_t>();
  stat.num_children = in.get<std::int32_t>();
  stat.pzxid = in.get<std::int64_t>();
  return stat;
}

void put(BytesWriter& out, const std::vector<Acl>& acl) {
  out.put(static_cast<std::int32_t>(acl.size()));
  for (const Acl& one : acl) {
    out.put(one.perms);
    put_string(out, one.scheme);
    put_string(out, one.id);
  }
}

std::vector<Acl> get_acl(BytesReader& in) {
  std::vector<Acl> acl(get_count(in, acl_bytes_min));
  for (Acl& one : acl) {
    one.perms = in.get<std::int32_t>();
    one.scheme = get_string(in);
    one.id = get_string(in);
  }
  return acl;
}

void put(BytesWriter& out, const ReplyHeader& header) {
  out.put(header.xid);
  out.put(header.zxid);
  out.put(static_cast<std::int32_t>(header.error));
}

ReplyHeader get_reply_header(BytesReader& in) {
  ReplyHeader header;
  header.xid = in.get<std::int32_t>();
  header.zxid = in.get<std::int64_t>();
  header.error = static_cast<ErrorCode>(in.get<std::int32_t>());
  return header;
}

void put(BytesWriter& out, const WatchEvent& event) {
  out.put(static_cast<std::int32_t>(event.type));
  out.put(state_sync_connected);
  put_string(out, event.path);
}

WatchEvent get_event(BytesReader& in) {
  WatchEvent event;
  event.type = static_cast<EventType>(in.get<std::int32_t>());
  static_cast<void>(in.get<std::int32_t>());
  event.path = get_string(in);
  return event;
}

void put(BytesWriter& out, const PartHeader& header) {
  out.put(static_cast<std::int32_t>(header.op));
  put_bool(out, header.done);
  out.put(header.error);
}

PartHeader get_part_header(BytesReader& in) {
  PartHeader header;
  header.op = static_cast<OpCode>(in.get<std::int32_t>());
  header.done = get_bool(in);
  header.error = in.get<std::int32_t>();
  return header;
}

void put_body(BytesWriter& out, const Request& request) {
  switch (request.op) {
    case OpCode::multi:
    case OpCode::multi_read:
      for (const Request& part : request.parts) {
        put(out, PartHeader{part.op, false, -1});
        put_body(out, part);
      }
      return put(out, PartHeader{OpCode::error, true, -1});
    case OpCode::set_watches:
    case OpCode::set_watches2:
      out.put(request.relative_zxid);
      put_strings(out, request.data_watches);
      put_strings(out, request.exist_watches);
      put_strings(out, request.child_watches);
      if (request.op == OpCode::set_watches) return;
      put_strings(out, request.persistent_watches);
      return put_strings(out, request.recursive_watches);
    case OpCode::create_session:
      out.put(request.mode);
      return put_data(out, request.data);
    default:
      if (!has_no_body(request.op)) put_path_and_more(out, request);
  }
}

Result<ConnectRequest> decode_connect(ByteView frame) {
  BytesReader in(frame);
  ConnectRequest request;
  request.protocol = in.get<std::int32_t>();
  request.last_zxid_seen = in.get<std::int64_t>();
  request.timeout_ms = in.get<std::int32_t>();
  request.session = in.get<std::int64_t>();
  request.password = get_data(in).value_or(Bytes{});
  request.has_read_only = in.ok() && in.left() > 0;
  if (request.has_read_only) request.read_only = get_bool(in);
  if (request.timeout_ms < 0) in.fail_with("a negative session timeout");
  TRY_VOID(in.status());
  return request;
}

Result<ConnectReply> decode_connect_reply(ByteView frame) {
  BytesReader in(frame);
  ConnectReply reply;
  static_cast<void>(in.get<std::int32_t>());
  reply.timeout_ms = in.get<std::int32_t>();
  reply.session = in.get<std::int64_t>();
  reply.password = get_data(in).value_or(Bytes{});
  reply.has_read_only = in.ok() && in.left() > 0;
  if (reply.has_read_only) static_cast<void>(get_bool(in));
  TRY_VOID(in.status());
  return reply;
}

Result<Request> decode_body(OpCode op, ByteView body) {
  if (!is_known(op) || op == OpCode::notification || op == OpCode::error ||
      op == OpCode::reconfig || op == OpCode::auth || op == OpCode::sasl) {
    return fail(Errc::unsupported, "a request of type {} ({})", static_cast<std::int32_t>(op),
                name_of(op));
  }
  BytesReader in(body);
  Request request;
  request.op = op;
  get_body(in, request);
  if (in.ok() && in.left() > 0) in.fail_with("bytes behind the request");
  TRY_VOID(in.status());
  return request;
}

}  // namespace qlab::wire::keeper
