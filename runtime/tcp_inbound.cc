#include "runtime/tcp_inbound.h"

#include "common/logging.h"

namespace qlab::runtime::tcp {

struct Inbound::Connection {
  explicit Connection(std::unique_ptr<Stream> stream_in)
      : stream(std::move(stream_in)), reader(*stream, frame_bytes_max) {}

  // False: it is gone.
  Task<bool> write(Bytes bytes) {
    std::vector<ByteView> pieces(1, bytes);
    const auto written = co_await stream->write(std::move(pieces));
    co_return written.has_value();
  }

  std::unique_ptr<Stream> stream;
  FrameReader reader;
  NodeId peer = no_node;
  LinkEpoch epoch;
  bool ping_heard = false;  // And not answered.
};

Task<void> Inbound::run(std::unique_ptr<Listener> listener) {
  listener_ = listener.get();
  while (!stopping_) {
    auto stream = co_await listener->accept();
    if (stopping_) break;
    if (!stream) {
      if (stream.error().code == Errc::closed) break;
      log(LogLevel::warn, parts_.who(), "{}; accepting again", stream.error().message());
      continue;
    }
    auto connection = std::make_shared<Connection>(std::move(*stream));
    gate_.start([this, connection] { return serve(connection); });
  }
  listener_ = nullptr;
  co_await gate_.close();
}

void Inbound::stop() {
  stopping_ = true;
  if (listener_ != nullptr) listener_->close();
  for (Connection* connection : open_) connection->stream->close();
}

Task<void> Inbound::serve(std::shared_ptr<Connection> connection) {
  if (stopping_) co_return;
  open_.insert(connection.get());
  const auto filled = co_await connection->reader.fill();
  if (filled && !stopping_) {
    const ByteView first = *connection->reader.take();
    const ByteView body = first.subspan(1);
    const auto type = static_cast<FrameType>(first.front());
    auto call = decode_call(body);
    if (type == FrameType::call && call) {
      co_await serve_calls(connection, std::move(*call));
    } else {
      const auto hello = decode_hello(body);
      std::string refusal = "the first frame is not a hello";
      if (type == FrameType::hello && hello && Endpoint::parse(hello->endpoint)) {
        refusal = judge(*hello);
      }
      if (refusal.empty()) {
        connection->peer = hello->node;
        on_hello_(hello->node, Endpoint::parse(hello->endpoint).value());
        co_await serve_link(connection);
      } else {
        Bytes answer = frame(FrameType::refusal, as_view(refusal));
        static_cast<void>(co_await connection->write(std::move(answer)));
      }
    }
  }
  const auto current = current_.find(connection->peer);
  if (current != current_.end() && current->second == connection.get()) current_.erase(current);
  open_.erase(connection.get());
  connection->stream->close();
}

// Whether the sender of the first frame is let in.
std::string Inbound::judge(const Hello& hello) {
  std::string reason;
  if (hello.node.value() < 0) return "the first frame is not a hello";
  if (hello.cluster_id != parts_.self.cluster_id) {
    reason = fmt::format("node {} belongs to cluster {}, and node {} to {}", hello.node,
                         hello.cluster_id, parts_.self.node, parts_.self.cluster_id);
  } else if (hello.node == parts_.self.node) {
    reason = fmt::format("two nodes say they are node {}", hello.node);
  }
  if (reason.empty()) return reason;

  const Time now = parts_.runtime.now();
  const auto [logged, is_new] = refusal_logged_.try_emplace(hello.node, now);
  if (is_new || now - logged->second >= Link::refused_log_interval) {
    logged->second = now;
    log(LogLevel::warn, parts_.who(), "a link from {} is refused: {}", hello.endpoint, reason);
  }
  return reason;
}

Task<void> Inbound::serve_link(std::shared_ptr<Connection> connection) {
  const auto previous = current_.find(connection->peer);
  if (previous != current_.end()) previous->second->stream->close();
  current_[connection->peer] = connection.get();
  LinkEpoch& epoch = epochs_[connection->peer];
  epoch = epoch.next();
  connection->epoch = epoch;

  Hello answer;
  answer.node = parts_.self.node;
  answer.cluster_id = parts_.self.cluster_id;
  answer.endpoint = parts_.self.listen.to_string();
  answer.link_epoch = epoch;
  Bytes bytes = encode(answer);
  bool ok = co_await connection->write(std::move(bytes));
  while (ok && !stopping_) {
    const auto filled = co_await connection->reader.fill();
    if (!filled || stopping_) break;
    while (ok) {
      const auto next = connection->reader.take();
      if (!next) break;
      ok = deliver(*connection, *next);
    }
    if (ok && std::exchange(connection->ping_heard, false)) {
      Bytes pong = frame(FrameType::pong, {});
      ok = co_await connection->write(std::move(pong));
    }
  }
}

// A peer that came back has a newer connection; what is left of an older one comes too late.
bool Inbound::deliver(Connection& connection, ByteView frame) {
  const auto current = current_.find(connection.peer);
  if (stopping_ || current == current_.end() || current->second != &connection) return false;
  const auto type = static_cast<FrameType>(frame.front());
  if (type == FrameType::ping) {
    connection.ping_heard = true;
    return true;
  }
  if (type != FrameType::message || frame.size() < 2) {
    log(LogLevel::warn, parts_.who(), "node {} sent a frame of type {} on its link; closing it",
        connection.peer, static_cast<int>(type));
    return false;
  }
  const auto channel = static_cast<Channel>(frame[1]);
  if (channel < Channel::metadata_consensus || channel > last_channel) {
    log(LogLevel::debug, parts_.who(), "dropped a message of node {} for unknown channel {}",
        connection.peer, static_cast<int>(channel));
    return true;
  }
  const ByteView payload = frame.subspan(2);
  parts_.handler.on_message(connection.peer, connection.epoch, channel,
                            Bytes(payload.begin(), payload.end()));
  return true;
}

Task<void> Inbound::serve_calls(std::shared_ptr<Connection> connection, Call call) {
  for (;;) {
    auto answered = co_await calls_(std::move(call.method), std::move(call.request));
    const std::string words = answered ? std::move(*answered) : answered.error().message();
    BytesWriter body;
    body.put(static_cast<std::uint8_t>(answered.has_value()));
    body.put_text(words);
    Bytes bytes = frame(FrameType::answer, body.view());
    const bool ok = co_await connection->write(std::move(bytes));
    if (!ok || stopping_) co_return;
    const auto filled = co_await connection->reader.fill();
    if (!filled || stopping_) co_return;
    const ByteView next = *connection->reader.take();
    auto decoded = decode_call(next.subspan(1));
    if (static_cast<FrameType>(next.front()) != FrameType::call || !decoded) co_return;
    call = std::move(*decoded);
  }
}

}  // namespace qlab::runtime::tcp
