#pragma once
// One client's connection: its stream, what it asked and has not been told, and what is on its way
// to it.
//
// Requests are answered in the order they came: a read waits for the writes before it, and is then
// answered from this server's state. Thread: the server's shard.

#include <deque>
#include <memory>

#include "keeper/options.h"
#include "keeper/replies.h"
#include "runtime/async.h"
#include "runtime/network.h"

namespace qlab::keeper {

using runtime::Task;

// A request that has not been answered.
struct Asked {
  std::int32_t xid = 0;
  wire::keeper::Request request;  // Of a write the type only: its body is on its way.
  bool waits = false;             // For the log or the leader.
  std::uint64_t number = 0;       // By which its answer finds it; 0: it needs none.
  Answer answer;                  // When it neither waits nor is a read.
  bool is_read = false;
  std::size_t bytes = 0;
  Time since;
};

class Connection {
 public:
  Connection(runtime::Runtime& runtime, std::unique_ptr<runtime::Stream> stream, WatcherId number)
      : id(number), stream_(std::move(stream)), progress_(runtime) {}

  const WatcherId id;
  std::int64_t session = 0;        // 0 until the handshake is through.
  std::int64_t asked_session = 0;  // By the handshake; 0: a new one.
  std::int32_t timeout_ms = 0;
  bool has_read_only = true;  // The client reads the last field of the handshake.
  Bytes password;
  std::deque<Asked> queue;  // Oldest first.
  Time last_heard;
  Time asked_at;               // The leader was asked for the session then, or is asked later.
  std::uint64_t received = 0;  // Requests.
  std::uint64_t sent = 0;      // Replies and events.

  runtime::Stream& stream() { return *stream_; }
  std::string remote() const { return stream_->remote(); }

  // A frame is `put` behind its length. Closes the connection when the client does not read.
  template <class Put>
  void send_frame(Put put) {
    if (closed_ || ending_) return;
    const std::size_t at = out_.size();
    out_.put(std::uint32_t{0});
    put(out_);
    out_.patch(at, static_cast<std::uint32_t>(out_.size() - at - sizeof(std::uint32_t)));
    after_send();
  }
  void send_text(std::string_view text);

  void close();            // At once.
  void close_when_sent();  // When what was sent so far is on its way.
  bool is_closed() const { return closed_; }
  bool is_ending() const { return closed_ || ending_; }

  void add_open(std::size_t bytes) { open_bytes_ += bytes; }
  void remove_open(std::size_t bytes);
  Task<void> until_room();         // Until few enough requests wait.
  Task<void> until_established();  // Or closed.
  void notify() { progress_.notify_all(); }
  Task<void> write_loop();

 private:
  void after_send();

  std::unique_ptr<runtime::Stream> stream_;
  BytesWriter out_;  // Not handed to the stream.
  std::size_t open_bytes_ = 0;
  bool closed_ = false;
  bool ending_ = false;
  runtime::Event progress_;
};

}  // namespace qlab::keeper
