#include "keeper/server.h"

#include <algorithm>

#include "common/logging.h"
#include "runtime/frame_reader.h"
#include "runtime/stream_io.h"

namespace qlab::keeper {
namespace {

constexpr std::size_t handshake_bytes_min = 28;
constexpr std::size_t handshake_bytes_max = 1024;

}  // namespace

using wire::keeper::ConnectReply;
using wire::keeper::ConnectRequest;
using wire::keeper::EventType;

Server::Server(runtime::Runtime& runtime, consensus::Driver& driver, Machine& machine,
               Options options)
    : runtime_(runtime),
      driver_(driver),
      machine_(machine),
      options_(options),
      leader_(runtime, driver, machine.state(), options),
      watches_([this](WatcherId watcher, EventType type, const std::string& path) {
        const auto found = connections_.find(watcher);
        if (found == connections_.end()) return;
        found->second->send_frame([&](BytesWriter& out) {
          put(out, wire::keeper::ReplyHeader{wire::keeper::notification_xid, -1, ErrorCode::ok});
          put(out, wire::keeper::WatchEvent{type, path});
        });
      }),
      last_number_(runtime.random().next()),
      gate_(runtime) {
  machine_.listen(*this);
}

void Server::start(std::unique_ptr<runtime::Listener> listener,
                   std::function<void(Error)> on_fatal) {
  on_fatal_ = std::move(on_fatal);
  listener_ = std::move(listener);
  gate_.start([this] { return accept_loop(); });
  arm_tick();
}

Task<void> Server::stop() {
  stopping_ = true;
  runtime_.cancel(std::exchange(tick_timer_, {}));
  if (listener_ != nullptr) listener_->close();
  waiting_.clear();
  for (const auto& [id, connection] : connections_) connection->close();
  co_await gate_.close();
  co_await leader_.stop();
}

Task<void> Server::accept_loop() {
  while (!stopping_) {
    auto stream = co_await listener_->accept();
    if (stopping_) co_return;
    if (!stream) {
      if (stream.error().code == Errc::closed) co_return;
      log(LogLevel::warn, "keeper", "{}; accepting again", stream.error().message());
      continue;
    }
    if (connections_.size() >= options_.connections_max) {
      log(LogLevel::warn, "keeper", "{} clients are connected; refusing {}", connections_.size(),
          (*stream)->remote());
      (*stream)->close();
      continue;
    }
    auto connection = std::make_shared<Connection>(runtime_, std::move(*stream), ++last_id_);
    connection->last_heard = connection->asked_at = runtime_.now();
    connections_.emplace(connection->id, connection);
    gate_.start([connection] { return connection->write_loop(); });
    gate_.start([this, connection] { return serve(connection); });
  }
}

Task<void> Server::serve(ConnectionPtr connection) {
  const auto is_client = co_await greet(connection);
  if (!is_client && is_client.error().code != Errc::closed) {
    ++garbage_;
    log(LogLevel::warn, "keeper", "closing {}: {}", connection->remote(),
        is_client.error().context);
  }
  if (is_client && *is_client) {
    co_await connection->until_established();
    runtime::FrameReader reader(connection->stream(), Options::frame_bytes_max);
    while (!connection->is_ending()) {
      const auto filled = co_await reader.fill();
      if (!filled) {
        if (filled.error().code == Errc::closed) break;
        ++garbage_;
        log(LogLevel::warn, "keeper", "closing the connection: {}", filled.error().context);
        break;
      }
      while (!connection->is_ending()) {
        const auto frame = reader.take();
        if (!frame) break;
        on_frame(connection, *frame);
      }
      co_await connection->until_room();
    }
  }
  if (!connection->is_ending()) connection->close();
  forget(connection);
}

// The first four bytes are a word, or the length of a handshake.
Task<Result<bool>> Server::greet(ConnectionPtr connection) {
  std::array<std::byte, 4> head{};
  CO_TRY_VOID(co_await runtime::read_exactly(connection->stream(), head));
  const std::string_view word = as_text(head);
  if (is_word(word)) {
    connection->send_text(answer_word(word, figures()));
    connection->close_when_sent();
    co_return false;
  }
  const std::size_t length = load_big<std::uint32_t>(head.data());
  if (length < handshake_bytes_min || length > handshake_bytes_max) {
    co_return fail(Errc::invalid, "a handshake of {} bytes; allowed are {} to {}", length,
                   handshake_bytes_min, handshake_bytes_max);
  }
  Bytes frame(length);
  CO_TRY_VOID(co_await runtime::read_exactly(connection->stream(), frame));
  CO_TRY(const ConnectRequest request, wire::keeper::decode_connect(frame));
  if (!stopping_) begin_session(connection, request);
  co_return true;
}

void Server::begin_session(const ConnectionPtr& connection, const ConnectRequest& request) {
  if (!leader_id_) return connection->close();  // It tries another server.
  if (request.last_zxid_seen > machine_.state().zxid()) {
    log(LogLevel::info, "keeper", "closing {}: it saw zxid 0x{:x}, and this server is at 0x{:x}",
        connection->remote(), request.last_zxid_seen, machine_.state().zxid());
    return connection->close();
  }
  const auto asked = std::chrono::milliseconds(request.timeout_ms);
  const Duration timeout =
      std::clamp<Duration>(asked, options_.session_min(), options_.session_max());
  connection->timeout_ms = static_cast<std::int32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count());
  connection->has_read_only = request.has_read_only;
  connection->asked_session = request.session;
  connection->asked_at = runtime_.now();
  if (request.session != 0) {
    connection->password = request.password;
    return ask_validation(connection, request.session);
  }
  connection->password.resize(wire::keeper::password_bytes);
  for (std::byte& one : connection->password) {
    one = static_cast<std::byte>(runtime_.random().next());
  }
  wire::keeper::Request open;
  open.op = OpCode::create_session;
  open.mode = connection->timeout_ms;
  open.data = connection->password;
  BytesWriter body;
  put_body(body, open);
  submit(connection, ++last_number_, open.op, body.take());
}

// An earlier connection of the session ends here: it has one at a time.
void Server::establish(const ConnectionPtr& connection, std::int64_t session,
                       std::int32_t timeout_ms) {
  if (const auto before = sessions_[session].lock(); before != nullptr) before->close();
  sessions_[session] = connection;
  connection->session = session;
  connection->timeout_ms = timeout_ms;
  connection->last_heard = runtime_.now();
  heard_.insert(session);
  connection->send_frame([&](BytesWriter& out) {
    put(out, ConnectReply{timeout_ms, session, connection->password, connection->has_read_only});
  });
}

// The protocol has one answer to all that is wrong with a session: it is over.
void Server::refuse_session(const ConnectionPtr& connection, std::string_view why) {
  log(LogLevel::info, "keeper", "refusing session 0x{:x} to {}: {}", connection->asked_session,
      connection->remote(), why);
  connection->send_frame([&](BytesWriter& out) {
    put(out, ConnectReply{0, 0, Bytes(wire::keeper::password_bytes), connection->has_read_only});
  });
  connection->close_when_sent();
}

void Server::forget(const ConnectionPtr& connection) {
  watches_.remove_all(connection->id);
  const auto serving = sessions_.find(connection->session);
  if (serving != sessions_.end() && serving->second.lock() == connection) sessions_.erase(serving);
  connections_.erase(connection->id);
}

void Server::arm_tick() {
  tick_timer_ = runtime_.call_at(runtime_.now() + options_.tick / 2, [this] { tick(); });
}

void Server::tick() {
  touch_sessions();
  if (leader_.is_active()) leader_.tick();
  for (const auto& [id, connection] : connections_) {
    const Duration allowed = connection->session == 0
                                 ? options_.session_min()
                                 : std::chrono::milliseconds(connection->timeout_ms);
    const bool is_silent = runtime_.now() - connection->last_heard > allowed;
    const Time confirmed = std::max(confirmed_, connection->asked_at);
    const bool is_unknown = runtime_.now() - confirmed > allowed;
    if (connection->is_closed() || (!is_silent && !is_unknown)) continue;
    log(LogLevel::info, "keeper", "closing {}: nothing came from {} for longer than {} ms",
        connection->remote(), is_silent ? "it" : "the leader", to_millis(allowed));
    connection->close();
  }
  arm_tick();
}

Figures Server::figures() const {
  Figures figures;
  figures.options = options_;
  if (listener_ != nullptr) figures.client_endpoint = listener_->local().to_string();
  if (leader_id_) figures.mode = leads() ? "leader" : "follower";
  const auto& members = driver_.config().members;
  if (leader_id_ && members.size() == 1) figures.mode = "standalone";
  for (const consensus::Member& member : members) {
    const bool observes = member.role == consensus::MemberRole::observer;
    if (member.id == options_.id && observes && leader_id_) figures.mode = "observer";
  }
  const State& state = machine_.state();
  figures.zxid = state.zxid();
  figures.latencies = latencies_;
  for (const auto& [id, connection] : connections_) {
    figures.clients.push_back({connection->remote(), connection->session, connection->timeout_ms,
                               connection->queue.size(), connection->received, connection->sent});
  }
  figures.outstanding = waiting_.size();
  figures.znodes = state.tree().size();
  figures.ephemerals = state.tree().ephemerals();
  figures.data_bytes = state.tree().data_bytes();
  figures.sessions = state.sessions().size();
  figures.watches = watches_.count();
  figures.watchers = watches_.watchers();
  figures.watched_paths = watches_.paths();
  figures.garbage = garbage_;
  return figures;
}

}  // namespace qlab::keeper
