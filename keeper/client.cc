#include "keeper/client.h"

#include "runtime/frame_reader.h"
#include "runtime/stream_io.h"

namespace qlab::keeper {

using wire::keeper::ErrorCode;
using wire::keeper::EventType;
using wire::keeper::OpCode;
using wire::keeper::Request;

namespace {

constexpr std::size_t reply_bytes_max = 64u << 20;  // A list of children may be long.
constexpr std::size_t handshake_bytes_max = 1024;

// A frame's length is known when it is written.
class Frame {
 public:
  explicit Frame(BytesWriter& out) : out_(out), at_(out.size()) { out.put(std::uint32_t{0}); }
  ~Frame() { out_.patch(at_, static_cast<std::uint32_t>(out_.size() - at_ - 4)); }
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;

 private:
  BytesWriter& out_;
  const std::size_t at_;
};

}  // namespace

Client::Client(runtime::Runtime& runtime, ClientOptions options, OnEvent on_event)
    : runtime_(runtime),
      options_(std::move(options)),
      on_event_(std::move(on_event)),
      password_(wire::keeper::password_bytes),
      timeout_(options_.session_timeout),
      progress_(runtime),
      gate_(runtime) {}

void Client::start() {
  gate_.start([this] { return run(); });
  tick();
}

Task<void> Client::stop() {
  stopping_ = true;
  runtime_.cancel(std::exchange(timer_, {}));
  lose_connection();
  co_await gate_.close();
}

Task<void> Client::run() {
  std::size_t next = runtime_.random().below(options_.servers.size());
  while (!stopping_ && !expired_) {
    static_cast<void>(co_await serve(options_.servers[next++ % options_.servers.size()]));
    lose_connection();
    if (!stopping_ && !expired_) co_await runtime::sleep_for(runtime_, options_.retry_pause);
  }
  progress_.notify_all();
}

Task<Result<void>> Client::serve(runtime::Endpoint server) {
  CO_TRY(auto stream, co_await runtime_.network().connect(server, options_.connect_timeout));
  if (stopping_) co_return fail(Errc::closed, "the client was stopped");
  stream_ = std::move(stream);
  last_heard_ = runtime_.now();
  const std::shared_ptr<runtime::Stream> mine = stream_;
  CO_TRY_VOID(co_await greet());
  if (stopping_ || mine != stream_) co_return fail(Errc::closed, "the connection ended");
  connected_ = true;
  bring_watches();
  gate_.start([this, mine] { return write_loop(mine); });
  progress_.notify_all();
  runtime::FrameReader reader(*mine, reply_bytes_max);
  while (mine == stream_) {
    CO_TRY_VOID(co_await reader.fill());
    while (mine == stream_) {
      const auto frame = reader.take();
      if (!frame) break;
      last_heard_ = runtime_.now();
      CO_TRY_VOID(on_frame(*frame));
    }
  }
  co_return Result<void>{};
}

Task<Result<void>> Client::greet() {
  const std::shared_ptr<runtime::Stream> stream = stream_;
  BytesWriter out;
  wire::keeper::ConnectRequest request;
  request.last_zxid_seen = zxid_;
  request.timeout_ms = static_cast<std::int32_t>(to_millis(options_.session_timeout));
  request.session = session_;
  request.password = password_;
  {
    const Frame frame(out);
    put(out, request);
  }
  const Bytes sent = out.take();
  std::vector<ByteView> pieces(1, sent);
  CO_TRY_VOID(co_await stream->write(std::move(pieces)));
  Bytes length(4);
  CO_TRY_VOID(co_await runtime::read_exactly(*stream, length));
  const std::size_t count = load_big<std::uint32_t>(length.data());
  if (count > handshake_bytes_max) co_return fail(Errc::corrupt, "a handshake of {} bytes", count);
  Bytes frame(count);
  CO_TRY_VOID(co_await runtime::read_exactly(*stream, frame));
  CO_TRY(const wire::keeper::ConnectReply reply, wire::keeper::decode_connect_reply(frame));
  if (reply.session == 0) {
    expired_ = true;
    co_return fail(Errc::closed, "the session is over");
  }
  session_ = reply.session;
  password_ = reply.password;
  timeout_ = std::chrono::milliseconds(reply.timeout_ms);
  co_return Result<void>{};
}

Task<void> Client::write_loop(std::shared_ptr<runtime::Stream> stream) {
  while (stream == stream_) {
    if (out_.size() == 0) {
      co_await progress_.wait();
      continue;
    }
    const Bytes bytes = out_.take();
    out_ = {};
    std::vector<ByteView> pieces(1, bytes);
    const auto written = co_await stream->write(std::move(pieces));
    if (!written && stream == stream_) stream_->close();
  }
}

void Client::put_request(std::int32_t xid, const Request& request) {
  {
    const Frame frame(out_);
    out_.put(xid);
    out_.put(static_cast<std::int32_t>(request.op));
    put_body(out_, request);
  }
  progress_.notify_all();
}

// The server tells at once of what happened since we saw its last zxid.
void Client::bring_watches() {
  if (data_watches_.empty() && exist_watches_.empty() && child_watches_.empty()) return;
  Request request;
  request.op = OpCode::set_watches;
  request.relative_zxid = zxid_;
  request.data_watches.assign(data_watches_.begin(), data_watches_.end());
  request.exist_watches.assign(exist_watches_.begin(), exist_watches_.end());
  request.child_watches.assign(child_watches_.begin(), child_watches_.end());
  put_request(wire::keeper::set_watches_xid, request);
}

Task<Result<ClientReply>> Client::call(const Request& request) {
  runtime::Completion<Result<ClientReply>> done(runtime_.executor());
  if (!connected_) {
    done.set(fail(Errc::closed, "there is no connection to a keeper"));
    return done.wait();
  }
  Waiting waiting{++last_xid_, std::nullopt, {}, done};
  if (request.watch) {
    waiting.path = request.path;
    waiting.watch = request.op == OpCode::exists     ? Watched::exists
                    : request.op == OpCode::get_data ? Watched::data
                                                     : Watched::children;
  }
  put_request(waiting.xid, request);
  waiting_.push_back(std::move(waiting));
  return done.wait();
}

Task<Result<void>> Client::connected() {
  while (!connected_ && !expired_ && !stopping_) co_await progress_.wait();
  if (!connected_) co_return fail(Errc::closed, "the session is over");
  co_return Result<void>{};
}

Task<void> Client::over() {
  while (!expired_ && !stopping_) co_await progress_.wait();
}

Task<Result<void>> Client::close() {
  Request request;
  request.op = OpCode::close_session;
  CO_TRY(const ClientReply reply, co_await call(request));
  static_cast<void>(reply);
  expired_ = true;
  progress_.notify_all();
  co_return Result<void>{};
}

// Errors: corrupt, when it is no answer to what was asked.
Result<void> Client::on_frame(ByteView frame) {
  BytesReader in(frame);
  const wire::keeper::ReplyHeader header = wire::keeper::get_reply_header(in);
  TRY_VOID(in.status());
  if (header.xid == wire::keeper::notification_xid) {
    const wire::keeper::WatchEvent event = wire::keeper::get_event(in);
    TRY_VOID(in.status());
    on_event(event);
    return {};
  }
  zxid_ = std::max(zxid_, header.zxid);
  if (header.xid == wire::keeper::ping_xid || header.xid == wire::keeper::set_watches_xid) {
    return {};
  }
  if (waiting_.empty() || waiting_.front().xid != header.xid) {
    return fail(Errc::corrupt, "an answer to request {}, which is not the oldest", header.xid);
  }
  const Waiting waiting = std::move(waiting_.front());
  waiting_.pop_front();
  note_watch(waiting, header.error);
  const ByteView body = in.get_bytes(in.left());
  auto done = waiting.done;
  done.set(ClientReply{header.error, header.zxid, Bytes(body.begin(), body.end())});
  return {};
}

void Client::note_watch(const Waiting& waiting, ErrorCode error) {
  if (!waiting.watch) return;
  const bool found = error == ErrorCode::ok;
  if (*waiting.watch == Watched::exists) {
    if (found) data_watches_.insert(waiting.path);
    if (error == ErrorCode::no_node) exist_watches_.insert(waiting.path);
  } else if (found) {
    (*waiting.watch == Watched::data ? data_watches_ : child_watches_).insert(waiting.path);
  }
}

void Client::on_event(const wire::keeper::WatchEvent& event) {
  if (event.type == EventType::node_children_changed) {
    child_watches_.erase(event.path);
  } else {
    data_watches_.erase(event.path);
    exist_watches_.erase(event.path);
    if (event.type == EventType::node_deleted) child_watches_.erase(event.path);
  }
  on_event_(event);
}

void Client::lose_connection() {
  connected_ = false;
  if (const auto stream = std::exchange(stream_, nullptr)) stream->close();
  out_ = {};
  for (Waiting& waiting : std::exchange(waiting_, {})) {
    waiting.done.set(fail(Errc::closed, "the connection to the keeper broke"));
  }
  progress_.notify_all();
}

// Pings at a third of the timeout, and gives a server up that is silent for two thirds of it.
void Client::tick() {
  timer_ = runtime_.call_at(runtime_.now() + timeout_ / 3, [this] { tick(); });
  if (stream_ == nullptr) return;
  if (runtime_.now() - last_heard_ > timeout_ * 2 / 3) return stream_->close();
  if (!connected_) return;
  Request ping;
  ping.op = OpCode::ping;
  put_request(wire::keeper::ping_xid, ping);
}

}  // namespace qlab::keeper
