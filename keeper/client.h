#pragma once
// A client of a keeper: one session over one connection at a time, to whichever server takes it.
//
// Calls are pipelined and answered in order. When the connection breaks, what waits fails as closed
// (its fate is unknown, ZooKeeper's ConnectionLoss), and the client goes to the next server with
// its session and its one-shot watches. A session that is over stays over: whoever wants another
// makes another client.
//
// Thread: one shard.

#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <vector>

#include "runtime/async.h"
#include "runtime/network.h"
#include "wire/keeper/messages.h"

namespace qlab::keeper {

using runtime::Task;

struct ClientOptions {
  std::vector<runtime::Endpoint> servers;  // Not empty.
  Duration session_timeout = std::chrono::seconds(18);
  Duration connect_timeout = std::chrono::seconds(1);
  Duration retry_pause = std::chrono::milliseconds(50);  // Between two servers.
};

struct ClientReply {
  wire::keeper::ErrorCode error = wire::keeper::ErrorCode::ok;
  std::int64_t zxid = 0;
  Bytes body;  // wire/keeper/messages.h says how it is read, by the request's type.
};

class Client {
 public:
  using OnEvent = std::function<void(const wire::keeper::WatchEvent&)>;

  Client(runtime::Runtime& runtime, ClientOptions options, OnEvent on_event);

  void start();
  // Ends the connection and leaves the session to expire; close() first to end it.
  Task<void> stop();

  // Errors: closed, when there is no connection or it broke before the answer came.
  // The request is encoded before this returns.
  Task<Result<ClientReply>> call(const wire::keeper::Request& request);
  // Returns when there is a session and a connection. Errors: closed, when the session is over.
  Task<Result<void>> connected();
  // Returns when the session is over, or stop() was called.
  Task<void> over();
  // Ends the session.
  Task<Result<void>> close();

  std::int64_t session() const { return session_; }
  bool is_connected() const { return connected_; }
  bool is_expired() const { return expired_; }
  std::int64_t last_zxid() const { return zxid_; }

 private:
  enum class Watched : std::uint8_t { data, exists, children };
  struct Waiting {
    std::int32_t xid = 0;
    std::optional<Watched> watch;
    std::string path;
    runtime::Completion<Result<ClientReply>> done;
  };

  Task<void> run();
  Task<Result<void>> serve(runtime::Endpoint server);
  Task<Result<void>> greet();
  Task<void> write_loop(std::shared_ptr<runtime::Stream> stream);
  Result<void> on_frame(ByteView frame);
  void on_event(const wire::keeper::WatchEvent& event);
  void note_watch(const Waiting& waiting, wire::keeper::ErrorCode error);
  void put_request(std::int32_t xid, const wire::keeper::Request& request);
  void bring_watches();
  void lose_connection();
  void tick();

  runtime::Runtime& runtime_;
  const ClientOptions options_;
  const OnEvent on_event_;
  std::shared_ptr<runtime::Stream> stream_;  // Null between two connections.
  BytesWriter out_;                          // Not handed to the stream.
  std::deque<Waiting> waiting_;              // For answers, oldest first.
  std::set<std::string> data_watches_;
  std::set<std::string> exist_watches_;
  std::set<std::string> child_watches_;

  std::int64_t session_ = 0;
  Bytes password_;
  Duration timeout_;  // As agreed upon.
  std::int64_t zxid_ = 0;
  std::int32_t last_xid_ = 0;
  Time last_heard_;
  bool connected_ = false;
  bool expired_ = false;
  bool stopping_ = false;
  runtime::TimerId timer_;
  runtime::Event progress_;
  runtime::Gate gate_;
};

}  // namespace qlab::keeper
