#include "runtime/real/real_network.h"

#include <functional>
#include <map>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/ip/basic_resolver.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "runtime/async.h"

namespace qlab::runtime {

// Thread: the shard's, but for sockets that are destroyed after its loop has ended.
class OpenSockets {
 public:
  template <class Socket>
  void add(Socket* socket) {
    close_.emplace(socket, [socket] { socket->close(); });
  }
  void remove(const void* socket) { close_.erase(socket); }

  bool is_cut_off() const { return cut_off_; }
  void cut_off() {
    cut_off_ = true;
    for (const auto& [socket, close] : close_) close();
  }

 private:
  std::map<const void*, std::function<void()>> close_;  // Of every socket that is there.
  bool cut_off_ = false;
};

namespace {

using boost::asio::ip::tcp;
using boost::system::error_code;
using Socket = boost::asio::basic_stream_socket<tcp, Executor>;
using Acceptor = boost::asio::basic_socket_acceptor<tcp, Executor>;
using Resolver = boost::asio::ip::basic_resolver<tcp, Executor>;

constexpr auto as_awaitable = boost::asio::as_tuple_t<boost::asio::use_awaitable_t<Executor>>{};

constexpr Duration bind_retry_max = std::chrono::seconds(1);
constexpr Duration bind_retry_pause = std::chrono::milliseconds(20);
constexpr Duration accept_pause = std::chrono::milliseconds(100);

std::string name_of_peer(const Socket& socket) {
  error_code error;
  const tcp::endpoint remote = socket.remote_endpoint(error);
  if (error) return "unknown";
  return Endpoint{remote.address().to_string(), remote.port()}.to_string();
}

class TcpStream final : public Stream {
 public:
  TcpStream(Socket socket, std::shared_ptr<OpenSockets> open)
      : socket_(std::move(socket)), remote_(name_of_peer(socket_)), open_(std::move(open)) {
    error_code ignored;  // A socket that was reset already says so at the first read.
    socket_.set_option(tcp::no_delay(true), ignored);
    open_->add(this);
    if (open_->is_cut_off()) close();
  }
  ~TcpStream() override { open_->remove(this); }

  Task<Result<std::size_t>> read_some(std::span<std::byte> into) override {
    const auto buffer = boost::asio::buffer(into.data(), into.size());
    const auto [error, count] = co_await socket_.async_read_some(buffer, as_awaitable);
    if (error) co_return fail(Errc::closed, "read from {}: {}", remote_, error.message());
    co_return count;
  }

  Task<Result<void>> write(std::vector<ByteView> pieces) override {
    std::vector<boost::asio::const_buffer> buffers;
    buffers.reserve(pieces.size());
    for (const ByteView piece : pieces) buffers.emplace_back(piece.data(), piece.size());
    const auto [error, count] = co_await boost::asio::async_write(socket_, buffers, as_awaitable);
    if (error) co_return fail(Errc::closed, "write to {}: {}", remote_, error.message());
    co_return Result<void>{};
  }

  void close() override {
    error_code ignored;  // The other side may have closed first.
    socket_.shutdown(tcp::socket::shutdown_both, ignored);
    socket_.close(ignored);
  }

  std::string remote() const override { return remote_; }

 private:
  Socket socket_;
  const std::string remote_;
  const std::shared_ptr<OpenSockets> open_;
};

class TcpListener final : public Listener {
 public:
  TcpListener(Runtime& runtime, Acceptor acceptor, Endpoint local,
              std::shared_ptr<OpenSockets> open)
      : runtime_(runtime),
        acceptor_(std::move(acceptor)),
        local_(std::move(local)),
        open_(std::move(open)) {
    open_->add(this);
  }
  ~TcpListener() override { open_->remove(this); }

  Task<Result<std::unique_ptr<Stream>>> accept() override {
    while (acceptor_.is_open()) {
      auto [error, socket] = co_await acceptor_.async_accept(as_awaitable);
      if (!error) co_return std::make_unique<TcpStream>(std::move(socket), open_);
      if (!acceptor_.is_open()) break;
      if (error == boost::asio::error::connection_aborted) continue;
      // Most likely out of descriptors: without a pause the caller would spin.
      co_await sleep_for(runtime_, accept_pause);
      co_return fail(Errc::io, "accept on {}: {}", local_.to_string(), error.message());
    }
    co_return fail(Errc::closed, "{} does not listen any more", local_.to_string());
  }

  Endpoint local() const override { return local_; }

  void close() override {
    error_code ignored;
    acceptor_.close(ignored);
  }

 private:
  Runtime& runtime_;
  Acceptor acceptor_;
  const Endpoint local_;
  const std::shared_ptr<OpenSockets> open_;
};

Task<Result<tcp::endpoint>> resolve(Executor executor, Endpoint endpoint) {
  error_code error;
  const auto address = boost::asio::ip::make_address(endpoint.host, error);
  if (!error) co_return tcp::endpoint(address, endpoint.port);
  Resolver resolver(executor);
  const std::string port = std::to_string(endpoint.port);
  const auto [failed, found] = co_await resolver.async_resolve(
      endpoint.host, port, boost::asio::ip::resolver_base::numeric_service, as_awaitable);
  if (failed) {
    co_return fail(Errc::closed, "host {} is unknown: {}", endpoint.host, failed.message());
  }
  co_return found.begin()->endpoint();
}

error_code open_and_listen(Acceptor& acceptor, const tcp::endpoint& at) {
  error_code error;
  acceptor.open(at.protocol(), error);
  if (!error) acceptor.set_option(Acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(at, error);
  if (!error) acceptor.listen(boost::asio::socket_base::max_listen_connections, error);
  return error;
}

// On loopback a port that nobody listens on can be drawn for our own end: TCP then connects the
// socket to itself.
bool is_connected_to_itself(const Socket& socket) {
  error_code error;
  const tcp::endpoint local = socket.local_endpoint(error);
  return !error && local == socket.remote_endpoint(error) && !error;
}

Error cut_off_error(const Endpoint& endpoint) {
  return {Errc::closed, fmt::format("{}: this node is cut off", endpoint.to_string())};
}

}  // namespace

RealNetwork::RealNetwork(Runtime& runtime)
    : runtime_(runtime), open_(std::make_shared<OpenSockets>()) {}

RealNetwork::~RealNetwork() = default;

void RealNetwork::cut_off() {
  open_->cut_off();
}

Task<Result<std::unique_ptr<Listener>>> RealNetwork::listen(Endpoint endpoint) {
  CO_TRY(const tcp::endpoint at, co_await resolve(runtime_.executor(), endpoint));
  const Time give_up = runtime_.now() + bind_retry_max;
  for (;;) {
    if (open_->is_cut_off()) co_return fail(cut_off_error(endpoint));
    Acceptor acceptor(runtime_.executor());
    const error_code error = open_and_listen(acceptor, at);
    if (!error) {
      Endpoint local{endpoint.host, acceptor.local_endpoint().port()};
      co_return std::make_unique<TcpListener>(runtime_, std::move(acceptor), std::move(local),
                                              open_);
    }
    if (error != boost::asio::error::address_in_use) {
      co_return fail(Errc::io, "listen on {}: {}", endpoint.to_string(), error.message());
    }
    if (runtime_.now() >= give_up) {
      co_return fail(Errc::exists, "port {} is in use", endpoint.to_string());
    }
    co_await sleep_for(runtime_, bind_retry_pause);
  }
}

Task<Result<std::unique_ptr<Stream>>> RealNetwork::connect(Endpoint endpoint, Duration timeout) {
  if (open_->is_cut_off()) co_return fail(cut_off_error(endpoint));
  const Time due = runtime_.now() + timeout;
  CO_TRY(const tcp::endpoint at, co_await resolve(runtime_.executor(), endpoint));
  Socket socket(runtime_.executor());
  bool late = false;
  const TimerId timer = runtime_.call_at(due, [&socket, &late] {
    late = true;
    error_code ignored;
    socket.close(ignored);
  });
  const auto [error] = co_await socket.async_connect(at, as_awaitable);
  runtime_.cancel(timer);
  if (late) {
    co_return fail(Errc::timed_out, "connect to {} took longer than {} ms", endpoint.to_string(),
                   to_millis(timeout));
  }
  if (error) {
    co_return fail(Errc::closed, "connect to {}: {}", endpoint.to_string(), error.message());
  }
  if (is_connected_to_itself(socket)) {
    co_return fail(Errc::closed, "connect to {}: nobody listens", endpoint.to_string());
  }
  co_return std::make_unique<TcpStream>(std::move(socket), open_);
}

}  // namespace qlab::runtime
