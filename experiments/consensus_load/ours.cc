// A client of qlab-consensus-node: plain frames over TCP, many writes under way.

#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <set>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "experiments/consensus_load/client.h"
#include "wire/consensus/client_frames.h"

namespace qlab::experiments {
namespace {

using wire::consensus::ReplyFate;

constexpr std::chrono::milliseconds reconnect_pause{5};
constexpr std::chrono::seconds connect_patience{10};
constexpr int send_timeout_s = 5;

class OurClient final : public WriteClient {
 public:
  OurClient(sockaddr_in at, Bytes value) : at_(at), value_(std::move(value)) {}
  ~OurClient() override { stop(); }

  Result<void> start(Done done) override {
    done_ = std::move(done);
    const auto due = std::chrono::steady_clock::now() + connect_patience;
    while (!connect()) {
      if (std::chrono::steady_clock::now() >= due) return fail(Errc::timed_out, "nobody listens");
      std::this_thread::sleep_for(reconnect_pause);
    }
    thread_ = std::thread([this] { run(); });
    return {};
  }

  void send(std::uint64_t number) override {
    bool is_up = false;
    {
      const std::lock_guard lock(mutex_);
      is_up = socket_ >= 0;
      if (is_up) {
        open_.insert(number);
        store_big(value_.data(), number);
        put(out_, wire::consensus::Request{wire::consensus::RequestKind::propose, number, value_});
      }
    }
    if (!is_up) {
      if (std::this_thread::get_id() != thread_.get_id()) done_(number, WriteOutcome::fail, "down");
      return;
    }
    if (std::this_thread::get_id() != thread_.get_id()) flush();
  }

  void stop() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      if (socket_ >= 0) ::shutdown(socket_, SHUT_RDWR);
    }
    if (thread_.joinable()) thread_.join();
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  }

 private:
  bool connect() {
    const int made = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (made < 0) return false;
    const int on = 1;
    ::setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const timeval limit{send_timeout_s, 0};
    ::setsockopt(made, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    sockaddr address{};
    std::memcpy(&address, &at_, sizeof at_);
    if (::connect(made, &address, sizeof at_) != 0) {
      ::close(made);
      return false;
    }
    const std::lock_guard lock(mutex_);
    socket_ = made;
    return true;
  }

  // What was put is sent in one call. Thread: any; one at a time.
  void flush() {
    const std::lock_guard sending(sending_);
    Bytes bytes;
    int to = -1;
    {
      const std::lock_guard lock(mutex_);
      bytes = out_.take();
      out_ = {};
      to = socket_;
    }
    std::size_t at = 0;
    while (to >= 0 && at < bytes.size()) {
      const ssize_t sent = ::send(to, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
      if (sent <= 0) {
        ::shutdown(to, SHUT_RDWR);  // The reader sees it, and makes another.
        return;
      }
      at += static_cast<std::size_t>(sent);
    }
  }

  void run() {
    for (;;) {
      read_replies();
      std::set<std::uint64_t> lost;
      {
        const std::lock_guard sending(sending_);
        const std::lock_guard lock(mutex_);
        ::close(std::exchange(socket_, -1));
        out_ = {};
        lost.swap(open_);
      }
      for (const std::uint64_t number : lost) done_(number, WriteOutcome::info, "connection_lost");
      do {
        std::this_thread::sleep_for(reconnect_pause);
        const std::lock_guard lock(mutex_);
        if (stopping_) return;
      } while (!connect());
    }
  }

  // Until the connection breaks.
  void read_replies() {
    Bytes buffer(256u << 10);
    std::size_t end = 0;
    for (;;) {
      flush();
      const ssize_t got = ::recv(socket_, buffer.data() + end, buffer.size() - end, 0);
      if (got <= 0) return;
      end += static_cast<std::size_t>(got);
      std::size_t at = 0;
      while (end - at >= wire::consensus::length_bytes) {
        const std::size_t length = load_big<std::uint32_t>(buffer.data() + at);
        if (length > buffer.size() / 2) return;
        if (end - at < wire::consensus::length_bytes + length) break;
        const ByteView frame(buffer.data() + at + wire::consensus::length_bytes, length);
        const auto reply = wire::consensus::decode_reply(frame);
        if (!reply) return;
        complete(*reply);
        at += wire::consensus::length_bytes + length;
      }
      std::memmove(buffer.data(), buffer.data() + at, end - at);
      end -= at;
    }
  }

  void complete(const wire::consensus::Reply& reply) {
    {
      const std::lock_guard lock(mutex_);
      if (open_.erase(reply.sequence) == 0) return;
    }
    switch (reply.fate) {
      case ReplyFate::committed:
        return done_(reply.sequence, WriteOutcome::ok, {});
      case ReplyFate::rejected:
        return done_(reply.sequence, WriteOutcome::fail, "rejected");
      case ReplyFate::superseded:
        return done_(reply.sequence, WriteOutcome::fail, "superseded");
      case ReplyFate::unknown:
        return done_(reply.sequence, WriteOutcome::info, "unknown");
      case ReplyFate::overloaded:
        return done_(reply.sequence, WriteOutcome::fail, "overloaded");
    }
  }

  const sockaddr_in at_;
  Done done_;
  std::thread thread_;  // Reads; what is sent from it leaves when it has read all there is.
  std::mutex sending_;  // Before mutex_.
  std::mutex mutex_;    // Guards all below.
  Bytes value_;
  int socket_ = -1;
  bool stopping_ = false;
  BytesWriter out_;
  std::set<std::uint64_t> open_;
};

}  // namespace

Result<std::unique_ptr<WriteClient>> make_our_client(std::string endpoint, Bytes value) {
  const std::size_t colon = endpoint.rfind(':');
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(static_cast<std::uint16_t>(std::atoi(endpoint.c_str() + colon + 1)));
  if (::inet_pton(AF_INET, endpoint.substr(0, colon).c_str(), &at.sin_addr) != 1) {
    return fail(Errc::invalid, "--endpoints={}: allowed is an IPv4 address and a port", endpoint);
  }
  return std::make_unique<OurClient>(at, std::move(value));
}

}  // namespace qlab::experiments
