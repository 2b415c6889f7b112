#include "controller/zk/session.h"

#include "controller/zk/znodes.h"

namespace qlab::controller {

using wire::keeper::ErrorCode;
using wire::keeper::OpCode;

namespace {

// What the request takes beyond the data of its znodes is small.
std::size_t size_of(const KeeperRequest& request) {
  std::size_t bytes = request.path.size() + (request.data ? request.data->size() : 0);
  for (const KeeperRequest& part : request.parts) bytes += size_of(part);
  return bytes;
}

KeeperRequest path_request(OpCode op, std::string path) {
  KeeperRequest request;
  request.op = op;
  request.path = std::move(path);
  return request;
}

wire::keeper::Data data_of(std::string_view text) {
  const ByteView view = as_view(text);
  return Bytes(view.begin(), view.end());
}

}  // namespace

Session::Session(runtime::Runtime& runtime, keeper::ClientOptions options,
                 keeper::Client::OnEvent on_event, std::size_t in_flight)
    : runtime_(runtime),
      client_(runtime, std::move(options), std::move(on_event)),
      in_flight_(in_flight),
      gate_(runtime) {}

Task<void> Session::stop(bool end) {
  const auto self = shared_from_this();
  stopping_ = true;
  if (end && client_.is_connected()) static_cast<void>(co_await client_.close());
  co_await client_.stop();
  co_await gate_.close();
}

Task<Result<ClientReply>> Session::call(KeeperRequest request) {
  const auto self = shared_from_this();
  if (const std::size_t bytes = size_of(request); bytes > jute_bytes_max) {
    const std::string path = request.parts.empty() ? request.path : request.parts.back().path;
    co_return fail(Errc::invalid, "znode {} would take {} bytes, more than jute.maxbuffer={}", path,
                   bytes, jute_bytes_max);
  }
  while (!is_over()) {
    if (!client_.is_connected()) {
      CO_TRY_VOID(co_await client_.connected());
    }
    auto reply = co_await client_.call(request);
    if (!reply) continue;
    if (reply->error == ErrorCode::session_expired) break;
    count(request, *reply);
    co_return reply;
  }
  co_return fail(Errc::closed, "the session with the keeper is over");
}

void Session::count(const KeeperRequest& request, const ClientReply& reply) {
  switch (request.op) {
    case OpCode::multi:
      for (const KeeperRequest& part : request.parts) count(part, reply);
      return;
    case OpCode::create:
    case OpCode::set_data:
    case OpCode::remove:
      ++traffic_.writes;
      traffic_.written_bytes += static_cast<std::int64_t>(size_of(request));
      return;
    case OpCode::check:
      return;
    default:
      ++traffic_.reads;
      traffic_.read_bytes += static_cast<std::int64_t>(reply.body.size());
  }
}

Task<Result<std::optional<Znode>>> Session::get(std::string path, bool watch) {
  for (;;) {
    KeeperRequest request = get_request(path, watch);
    CO_TRY(const ClientReply reply, co_await call(std::move(request)));
    if (reply.error == ErrorCode::ok) {
      CO_TRY(Znode znode, decode_znode(reply));
      co_return std::optional<Znode>(std::move(znode));
    }
    if (reply.error != ErrorCode::no_node) {
      co_return fail(Errc::invalid, "znode {}: {}", path, wire::keeper::name_of(reply.error));
    }
    if (!watch) co_return std::optional<Znode>();
    KeeperRequest exists = path_request(OpCode::exists, path);
    exists.watch = true;
    CO_TRY(const ClientReply seen, co_await call(std::move(exists)));
    if (seen.error == ErrorCode::no_node) co_return std::optional<Znode>();
  }
}

Task<Result<std::vector<std::string>>> Session::children(std::string path, bool watch) {
  KeeperRequest request = children_request(path, watch);
  CO_TRY(const ClientReply reply, co_await call(std::move(request)));
  auto names = decode_children(reply);
  if (!names) co_return fail(names.error().code, "znode {}: {}", path, names.error().context);
  co_return names;
}

struct Session::Walk {
  Walk(std::size_t all, Make m, Take t, runtime::Executor executor)
      : count(all), make(std::move(m)), take(std::move(t)), done(executor) {}
  const std::size_t count;
  const Make make;
  const Take take;
  std::size_t next = 0;
  std::size_t walkers = 0;  // Still under way.
  Result<void> result;
  runtime::Completion<bool> done;
};

Task<Result<void>> Session::call_all(std::size_t count, Make make, Take take) {
  const auto self = shared_from_this();
  if (gate_.is_closed()) co_return fail(Errc::closed, "the session with the keeper is over");
  if (count == 0) co_return Result<void>{};
  auto all = std::make_shared<Walk>(count, std::move(make), std::move(take), runtime_.executor());
  all->walkers = std::min(in_flight_, count);
  for (std::size_t w = all->walkers; w > 0; --w) {
    gate_.start([this, all] { return walk(all); });
  }
  co_await all->done.wait();
  co_return all->result;
}

Task<void> Session::walk(std::shared_ptr<Walk> walk) {
  while (walk->next < walk->count && walk->result) {
    const std::size_t index = walk->next++;
    KeeperRequest request = walk->make(index);
    const auto reply = co_await call(std::move(request));
    if (!walk->result) break;
    if (!reply) {
      walk->result = fail(reply.error());
      break;
    }
    walk->result = walk->take(index, *reply);
  }
  if (--walk->walkers == 0) walk->done.set(true);
}

KeeperRequest get_request(std::string path, bool watch) {
  KeeperRequest request = path_request(OpCode::get_data, std::move(path));
  request.watch = watch;
  return request;
}
KeeperRequest children_request(std::string path, bool watch) {
  KeeperRequest request = path_request(OpCode::get_children, std::move(path));
  request.watch = watch;
  return request;
}
KeeperRequest create_request(std::string path, std::string_view data, bool ephemeral) {
  KeeperRequest request = path_request(OpCode::create, std::move(path));
  request.data = data_of(data);
  request.acl.push_back({wire::keeper::all_perms, "world", "anyone"});
  request.flags = ephemeral ? 1 : 0;
  return request;
}
KeeperRequest notification_request(std::string_view parent, std::string_view data) {
  KeeperRequest request = create_request(fmt::format("{}/config_change_", parent), data);
  request.flags = static_cast<std::int32_t>(wire::keeper::CreateMode::persistent_sequential);
  return request;
}
KeeperRequest set_request(std::string path, std::string_view data, std::int32_t version) {
  KeeperRequest request = path_request(OpCode::set_data, std::move(path));
  request.data = data_of(data);
  request.version = version;
  return request;
}
KeeperRequest delete_request(std::string path) {
  return path_request(OpCode::remove, std::move(path));
}
KeeperRequest multi_request(std::vector<KeeperRequest> parts) {
  KeeperRequest request;
  request.op = OpCode::multi;
  request.parts = std::move(parts);
  return request;
}

KeeperRequest check_request(std::string path, std::int32_t version) {
  KeeperRequest check = path_request(OpCode::check, std::move(path));
  check.version = version;
  return check;
}

KeeperRequest fenced(std::int32_t epoch_version, KeeperRequest request,
                     std::optional<KeeperRequest> check) {
  std::vector<KeeperRequest> parts;
  parts.push_back(check_request(std::string(znodes::controller_epoch), epoch_version));
  if (check) parts.push_back(std::move(*check));
  parts.push_back(std::move(request));
  return multi_request(std::move(parts));
}

Result<std::vector<FencedReply>> decode_multi(const ClientReply& reply) {
  if (reply.error != ErrorCode::ok) {
    return fail(Errc::invalid, "a multi: {}", wire::keeper::name_of(reply.error));
  }
  std::vector<FencedReply> parts;
  BytesReader in(reply.body);
  while (in.ok()) {
    const wire::keeper::PartHeader header = wire::keeper::get_part_header(in);
    if (header.done || !in.ok()) break;
    FencedReply part;
    switch (header.op) {
      case OpCode::error:
        part.error = static_cast<ErrorCode>(in.get<std::int32_t>());
        break;
      case OpCode::set_data: {
        const wire::keeper::Stat stat = wire::keeper::get_stat(in);
        part.version = stat.version;
        part.czxid = stat.czxid;
        break;
      }
      case OpCode::create:
        static_cast<void>(wire::keeper::get_string(in));
        break;
      default:
        break;
    }
    parts.push_back(part);
  }
  TRY_VOID(in.status());
  return parts;
}

Result<FencedReply> decode_fenced(const ClientReply& reply) {
  TRY(const auto parts, decode_multi(reply));
  if (parts.size() != 2 && parts.size() != 3) {
    return fail(Errc::corrupt, "a multi of two or three has {} answers", parts.size());
  }
  const auto has_failed = [](const FencedReply& check) {
    return check.error == ErrorCode::bad_version || check.error == ErrorCode::no_node;
  };
  if (has_failed(parts[0])) {
    return fail(Errc::not_leader, "there is another controller: its epoch is not ours");
  }
  if (parts.size() == 3 && has_failed(parts[1])) {
    return fail(Errc::fenced, "what the request depends on is another one by now");
  }
  return parts.back();
}

Result<std::vector<std::string>> decode_children(const ClientReply& reply) {
  if (reply.error == ErrorCode::no_node) return std::vector<std::string>();
  if (reply.error != ErrorCode::ok) {
    return fail(Errc::invalid, "{}", wire::keeper::name_of(reply.error));
  }
  if (reply.body.size() > Session::jute_bytes_max) {
    return fail(Errc::out_of_range,
                "the list of its children takes {} bytes, more than jute.maxbuffer={}",
                reply.body.size(), Session::jute_bytes_max);
  }
  BytesReader in(reply.body);
  std::vector<std::string> names = wire::keeper::get_strings(in);
  TRY_VOID(in.status());
  return names;
}

Result<Znode> decode_znode(const ClientReply& reply) {
  BytesReader in(reply.body);
  Znode znode;
  znode.data = wire::keeper::get_data(in).value_or(Bytes{});
  znode.stat = wire::keeper::get_stat(in);
  TRY_VOID(in.status());
  return znode;
}

}  // namespace qlab::controller
