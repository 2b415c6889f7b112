#pragma once
// Byte streams: what clients connect with, and what carries the bulk copies between brokers.

#include <memory>
#include <string>
#include <vector>

#include "common/bytes.h"
#include "runtime/runtime.h"

namespace qlab::runtime {

struct Endpoint {
  std::string host;
  std::uint16_t port = 0;  // 0 when listening: any free port.

  auto operator<=>(const Endpoint&) const = default;
  std::string to_string() const { return fmt::format("{}:{}", host, port); }
  // Errors: invalid, when it is not `host:port` with a port in 0..65535.
  static Result<Endpoint> parse(std::string_view text);
};

// One connection. One read and one write may be under way at a time, and may overlap each other.
class Stream {
 public:
  virtual ~Stream() = default;
  // At least one byte, at most into.size(). Errors: closed at the end of the stream or a reset.
  virtual Task<Result<std::size_t>> read_some(std::span<std::byte> into) = 0;
  // All of it, gathered. Requires: the bytes stay alive until the task ends. Errors: closed.
  virtual Task<Result<void>> write(std::vector<ByteView> pieces) = 0;
  virtual void close() = 0;  // Ends reads and writes under way with closed; may be called twice.
  virtual std::string remote() const = 0;
};

class Listener {
 public:
  virtual ~Listener() = default;
  // Errors: closed; io, when the process is out of descriptors: the caller says so and calls again
  // (the pause in between is here).
  virtual Task<Result<std::unique_ptr<Stream>>> accept() = 0;
  virtual Endpoint local() const = 0;  // With the port that was bound.
  virtual void close() = 0;
};

class Network {
 public:
  virtual ~Network() = default;
  // Retries a busy port for about a second: an io_uring process keeps its port some milliseconds
  // after SIGKILL. Errors: exists, when the port is in use; io.
  virtual Task<Result<std::unique_ptr<Listener>>> listen(Endpoint endpoint) = 0;
  // Errors: timed_out, closed (refused or unreachable).
  virtual Task<Result<std::unique_ptr<Stream>>> connect(Endpoint endpoint, Duration timeout) = 0;
};

}  // namespace qlab::runtime
