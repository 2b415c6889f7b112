#pragma once
// The world a node lives in: clock, timers, randomness, executor, disk, network, transport, trace.
//
// Nothing above this folder touches a thread, a socket, a file descriptor, a system clock or a
// random device. There are two worlds: real/ (epoll, io_uring, gRPC, one thread per shard) and
// simulated/ (one thread, virtual time, one seed). Both run an asio io_context, so a coroutine does
// not know which of them carries it.
//
// Thread: a Runtime is one shard. All its parts are used from that shard's thread only; to reach
// another shard see shards.h.

#include <functional>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include "common/clock.h"
#include "common/ids.h"
#include "common/prng.h"
#include "common/result.h"

namespace qlab::runtime {

class Disk;
class Network;
class TraceSink;
class Transport;

using Executor = boost::asio::io_context::executor_type;
template <class T = void>
using Task = boost::asio::awaitable<T, Executor>;

// A timer that is waiting. 0 is never given out.
using TimerId = StrongId<struct TimerIdTag, std::uint64_t>;

class Runtime {
 public:
  virtual ~Runtime() = default;

  virtual Executor executor() = 0;

  // Monotonic, this node's own: it may drift against the clocks of other nodes.
  virtual Time now() const = 0;
  // Milliseconds since 1970, for record timestamps only; it may jump.
  virtual WallMillis wall_now() const = 0;

  // Calls `callback` from the executor once now() >= due, never from within this call.
  virtual TimerId call_at(Time due, std::function<void()> callback) = 0;
  // No effect on a timer that fired or never was. After it returns the callback does not run.
  virtual void cancel(TimerId timer) = 0;

  virtual Prng& random() = 0;
  virtual Disk& disk() = 0;            // runtime/disk.h
  virtual Network& network() = 0;      // runtime/network.h
  virtual Transport& transport() = 0;  // runtime/transport.h
  virtual TraceSink& trace() = 0;      // runtime/trace.h
};

}  // namespace qlab::runtime
