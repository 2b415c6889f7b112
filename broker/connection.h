#pragma once
// Clients' connections: frames in, answers out, in the order of the requests.
//
// Requests of one connection are served one after the other, as clients expect, except that the
// waits of produce requests overlap: their appends are made in order, and so are their answers. A
// fetch that waits for records is answered as soon as another request comes behind it.
//
// Source: Kafka protocol guide, "Network"; SocketServer's limits.

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/bytes.h"
#include "runtime/async.h"
#include "runtime/network.h"
#include "wire/kafka/frame.h"

namespace qlab::broker {

using runtime::Task;

// That an answer must not wait for news any longer: others wait behind it. Asked once at most.
class Hurry {
 public:
  bool is_asked() const { return is_asked_; }
  void ask() {
    if (!std::exchange(is_asked_, true) && on_ask_) on_ask_();
  }
  // What ask() calls from here on; nullptr: nothing.
  void on_ask(std::function<void()> wake) { on_ask_ = std::move(wake); }

 private:
  bool is_asked_ = false;
  std::function<void()> on_ask_;
};

// A request as it came, with what a handler needs to decode it.
struct Request {
  wire::RequestHeader header;
  std::shared_ptr<const Bytes> frame;  // Without its length.
  std::size_t body_at = 0;             // Where the message begins in it.
  std::shared_ptr<Hurry> hurry;        // Of one that may be held; nullptr: of another.

  ByteView body() const { return ByteView(*frame).subspan(body_at); }
};

// What a connection asks of whoever knows the requests.
class RequestHandler {
 public:
  virtual ~RequestHandler() = default;
  // Whether its wait may overlap with those of the requests behind it.
  virtual bool may_overlap(const wire::RequestHeader& header) const = 0;
  // Whether it may wait for news, unless it is asked to hurry.
  virtual bool may_be_held(const wire::RequestHeader& header) const = 0;
  // The answer as a whole frame; empty: there is none to be sent.
  // Errors: the connection is closed, and the words are logged.
  virtual Task<Result<Bytes>> handle(Request request) = 0;
};

struct ConnectionLimits {
  std::size_t request_bytes_max = 104'857'600;
  std::size_t connections_max = 10'000;
  Duration idle_max = std::chrono::minutes(10);
};

// Thread: the home shard.
class ConnectionServer {
 public:
  // Requires: `handler` outlives stop().
  ConnectionServer(runtime::Runtime& runtime, RequestHandler& handler, ConnectionLimits limits);
  ~ConnectionServer();

  // Accepts and serves until close().
  void start(std::unique_ptr<runtime::Listener> listener);
  // Closes all. Handlers that are under way go on.
  void close();
  // Closes all, and returns when no handler runs any more.
  Task<void> stop();
  std::size_t connections() const { return connections_.size(); }

 private:
  class Connection;

  Task<void> accept_loop();
  Task<void> sweep_loop();
  Task<void> serve(std::uint64_t number, std::shared_ptr<Connection> connection);

  runtime::Runtime& runtime_;
  RequestHandler& handler_;
  const ConnectionLimits limits_;
  std::unique_ptr<runtime::Listener> listener_;
  std::map<std::uint64_t, std::shared_ptr<Connection>> connections_;  // By number.
  std::uint64_t last_connection_ = 0;
  bool closed_ = false;
  runtime::Event wake_;  // close() was called.
  runtime::Gate gate_;
};

}  // namespace qlab::broker
