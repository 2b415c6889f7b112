#include "broker/connection.h"

#include <algorithm>

#include "broker/frame_reader.h"
#include "common/check.h"
#include "common/logging.h"

namespace qlab::broker {
namespace {

// Requests of one connection that are read and not answered; then it is read no further. Clients
// have 5 or fewer in flight unless told otherwise.
constexpr std::size_t requests_in_flight_max = 64;

}  // namespace

class ConnectionServer::Connection {
 public:
  Connection(runtime::Runtime& runtime, std::unique_ptr<runtime::Stream> stream,
             RequestHandler& handler, const ConnectionLimits& limits)
      : runtime_(runtime),
        stream_(std::move(stream)),
        handler_(handler),
        limits_(limits),
        active_at_(runtime.now()),
        progress_(runtime),
        gate_(runtime) {}

  // Until the client goes away, or is sent away.
  Task<void> serve() {
    gate_.start([this] { return write_loop(); });
    FrameReader reader(*stream_, limits_.request_bytes_max);
    while (!closed_) {
      auto frame = co_await reader.next();
      if (!frame) {
        if (frame.error().code != Errc::closed) complain(frame.error().context);
        break;
      }
      active_at_ = runtime_.now();
      const auto taken = co_await take(std::move(*frame));
      if (!taken) {
        complain(taken.error().context);
        break;
      }
    }
    // What was asked before is still answered, unless the client itself is gone.
    is_read_ = true;
    if (held_ != nullptr) held_->ask();
    progress_.notify_all();
    co_await gate_.close();
    stream_->close();
  }

  void close() {
    closed_ = true;
    stream_->close();
    progress_.notify_all();
  }

  bool is_idle_since(Time then) const { return slots_.empty() && active_at_ <= then; }
  std::string remote() const { return stream_->remote(); }

 private:
  struct Slot {
    std::size_t request_bytes = 0;
    bool is_done = false;
    Bytes answer;  // Empty: nothing is sent.
  };

  Task<Result<void>> take(std::shared_ptr<const Bytes> frame) {
    BytesReader in(*frame);
    Request request;
    CO_TRY(request.header, wire::decode_request_header(in));
    request.body_at = in.position();
    request.frame = std::move(frame);

    if (held_ != nullptr) held_->ask();
    auto slot = std::make_shared<Slot>();
    slot->request_bytes = request.frame->size();
    while (!closed_ && !has_room(slot->request_bytes)) co_await progress_.wait();
    bytes_in_flight_ += slot->request_bytes;
    slots_.push_back(slot);
    if (handler_.may_overlap(request.header)) {
      gate_.start([this, slot, request] { return answer(slot, request); });
      co_return Result<void>{};
    }
    // Not before its turn: an answer made now and sent behind a produce request that waits would
    // tell of the past, such as of a dead leader to a client that has heard of the new one
    // elsewhere.
    while (!closed_ && slots_.front() != slot) co_await progress_.wait();
    if (closed_) co_return Result<void>{};
    if (handler_.may_be_held(request.header)) {
      request.hurry = held_ = std::make_shared<Hurry>();
      gate_.start([this, slot, request] { return answer(slot, request); });
      co_return Result<void>{};
    }
    auto answered = co_await handler_.handle(std::move(request));
    if (!answered) {
      slots_.pop_back();
      co_return fail(std::move(answered).error());
    }
    finish(*slot, std::move(*answered));
    co_return Result<void>{};
  }

  bool has_room(std::size_t bytes) const {
    if (slots_.empty()) return true;
    return slots_.size() < requests_in_flight_max &&
           bytes_in_flight_ + bytes <= limits_.request_bytes_max;
  }

  Task<void> answer(std::shared_ptr<Slot> slot, Request request) {
    auto answered = co_await handler_.handle(std::move(request));
    if (!answered) {
      complain(answered.error().context);
      close();
      co_return;
    }
    finish(*slot, std::move(*answered));
  }

  void finish(Slot& slot, Bytes answer) {
    slot.is_done = true;
    slot.answer = std::move(answer);
    active_at_ = runtime_.now();
    progress_.notify_all();
  }

  // Sends answers in the order of the requests; those that are ready together leave together.
  Task<void> write_loop() {
    while (!closed_) {
      std::vector<std::shared_ptr<Slot>> ready;
      std::vector<ByteView> pieces;
      while (!slots_.empty() && slots_.front()->is_done) {
        const auto& slot = ready.emplace_back(std::move(slots_.front()));
        slots_.pop_front();
        bytes_in_flight_ -= slot->request_bytes;
        if (!slot->answer.empty()) pieces.emplace_back(slot->answer);
      }
      if (ready.empty()) {
        if (is_read_ && slots_.empty()) co_return;
        co_await progress_.wait();
        continue;
      }
      progress_.notify_all();  // There is room again.
      if (pieces.empty()) continue;
      const auto written = co_await stream_->write(std::move(pieces));
      if (!written) close();
    }
  }

  void complain(std::string_view why) {
    if (closed_) return;
    log(LogLevel::warn, "broker", "closing the connection of {}: {}", remote(), why);
  }

  runtime::Runtime& runtime_;
  std::unique_ptr<runtime::Stream> stream_;
  RequestHandler& handler_;
  const ConnectionLimits& limits_;
  Time active_at_;                           // When a request came or was answered last.
  std::deque<std::shared_ptr<Slot>> slots_;  // Requests that are not answered, in their order.
  std::size_t bytes_in_flight_ = 0;          // Of the requests in slots_.
  std::shared_ptr<Hurry> held_;              // Of the last request that may be held.
  bool is_read_ = false;                     // Nothing more will be read.
  bool closed_ = false;
  runtime::Event progress_;  // Anything of the above changed.
  runtime::Gate gate_;
};

ConnectionServer::ConnectionServer(runtime::Runtime& runtime, RequestHandler& handler,
                                   ConnectionLimits limits)
    : runtime_(runtime), handler_(handler), limits_(limits), wake_(runtime), gate_(runtime) {}

ConnectionServer::~ConnectionServer() = default;

void ConnectionServer::start(std::unique_ptr<runtime::Listener> listener) {
  CHECK(listener_ == nullptr);
  listener_ = std::move(listener);
  gate_.start([this] { return accept_loop(); });
  gate_.start([this] { return sweep_loop(); });
}

Task<void> ConnectionServer::accept_loop() {
  while (!closed_) {
    auto stream = co_await listener_->accept();
    if (closed_) co_return;
    if (!stream) {
      if (stream.error().code == Errc::closed) co_return;
      log(LogLevel::warn, "broker", "{}; accepting again", stream.error().message());
      continue;
    }
    if (connections_.size() >= limits_.connections_max) {
      log(LogLevel::warn, "broker", "closing the connection of {}: max.connections={} are open",
          (*stream)->remote(), limits_.connections_max);
      (*stream)->close();
      continue;
    }
    auto connection = std::make_shared<Connection>(runtime_, std::move(*stream), handler_, limits_);
    const std::uint64_t number = ++last_connection_;
    connections_.emplace(number, connection);
    gate_.start([this, number, connection] { return serve(number, connection); });
  }
}

Task<void> ConnectionServer::serve(std::uint64_t number, std::shared_ptr<Connection> connection) {
  co_await connection->serve();
  connections_.erase(number);
}

Task<void> ConnectionServer::sweep_loop() {
  const Duration pause = std::max(limits_.idle_max / 10, Duration(std::chrono::milliseconds(10)));
  while (!closed_) {
    co_await wake_.wait_until(runtime_.now() + pause);
    const Time then = runtime_.now() - limits_.idle_max;
    for (const auto& [number, connection] : connections_) {
      if (connection->is_idle_since(then)) connection->close();
    }
  }
}

void ConnectionServer::close() {
  closed_ = true;
  if (listener_ != nullptr) listener_->close();
  wake_.notify_all();
  for (const auto& [number, connection] : connections_) connection->close();
}

Task<void> ConnectionServer::stop() {
  close();
  co_await gate_.close();
}

}  // namespace qlab::broker
