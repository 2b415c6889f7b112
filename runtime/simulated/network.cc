#include "runtime/simulated/network.h"

#include <algorithm>
#include <array>
#include <deque>

#include "common/check.h"
#include "runtime/async.h"
#include "runtime/simulated/fabric.h"
#include "runtime/simulated/node.h"

namespace qlab::runtime {
namespace {

// What one end may have sent and the other not yet read: about what two socket buffers hold.
constexpr std::size_t window_bytes = 256u << 10;
constexpr std::size_t segment_bytes_max = 16u << 10;
constexpr std::size_t backlog_max = 128;
// How often a connection attempt is repeated while its way is blocked.
constexpr Duration connect_retry = std::chrono::milliseconds(100);

// Suspends until notified; the one who waits looks again.
Task<void> wait_for(std::shared_ptr<Suspension>& slot, Executor executor) {
  slot = std::make_shared<Suspension>(executor);
  return Suspension::wait(slot);
}

void wake(std::shared_ptr<Suspension>& slot) {
  if (const auto waiter = std::exchange(slot, nullptr)) waiter->resume();
}

// Both ends and both directions.
class Connection final : public Circuit, public std::enable_shared_from_this<Connection> {
 public:
  struct End {
    explicit End(SimulatedNode& n) : node(n), life(n.life()) {}
    SimulatedNode& node;
    std::uint64_t life;
    std::shared_ptr<Pipe> out;
    std::deque<std::byte> arrived;
    std::size_t unread = 0;   // Of what this end has sent: on its way, or arrived and not read.
    bool closed = false;      // By this end.
    bool peer_ended = false;  // Nothing more will arrive.
    std::shared_ptr<Suspension> reader;
    std::shared_ptr<Suspension> writer;

    bool is_over() const { return closed || life != node.life(); }
  };

  Connection(SimulatedNode& client, SimulatedNode& server)
      : Circuit(client.id(), server.id()), ends_{End(client), End(server)} {}

  // Apart from the constructor, as the pipes refer back.
  void open(Fabric& fabric) {
    for (const std::size_t from : {0u, 1u}) {
      const std::size_t to = 1 - from;
      ends_[from].out = std::make_shared<Pipe>(
          fabric, ends_[from].node.id(), ends_[to].node.id(),
          Pipe::Receiver{[weak = weak_from_this(), to](std::uint8_t, Bytes bytes) {
                           if (const auto self = weak.lock()) self->arrive(to, bytes);
                         },
                         [weak = weak_from_this(), to] {
                           if (const auto self = weak.lock()) self->end_arrives(to);
                         }});
    }
  }

  void break_off() override {
    for (End& end : ends_) end.out->break_off();
  }
  void cut_from(NodeId dead) override {
    for (End& end : ends_) {
      if (end.node.id() == dead) end.out->cut();
    }
  }
  void pump() override {
    for (End& end : ends_) end.out->pump();
  }

  End& end(std::size_t side) { return ends_[side]; }

  void close(std::size_t side) {
    End& end = ends_[side];
    if (end.is_over()) return;
    end.closed = true;
    end.arrived.clear();
    end.out->finish();
    wake(end.reader);
    wake(end.writer);
  }

 private:
  void arrive(std::size_t side, const Bytes& bytes) {
    End& end = ends_[side];
    if (end.is_over()) return;
    end.arrived.insert(end.arrived.end(), bytes.begin(), bytes.end());
    wake(end.reader);
  }
  void end_arrives(std::size_t side) {
    ends_[side].peer_ended = true;
    wake(ends_[side].reader);
    wake(ends_[side].writer);
  }

  std::array<End, 2> ends_;  // The client's and the server's.
};

class SimulatedStream final : public Stream {
 public:
  SimulatedStream(Fabric& fabric, std::shared_ptr<Connection> connection, std::size_t side)
      : fabric_(fabric), connection_(std::move(connection)), side_(side) {}
  ~SimulatedStream() override { connection_->close(side_); }

  Task<Result<std::size_t>> read_some(std::span<std::byte> into) override {
    CHECK(!into.empty());
    const auto connection = connection_;
    Connection::End& end = connection->end(side_);
    Connection::End& peer = connection->end(1 - side_);
    while (!end.is_over() && end.arrived.empty() && !end.peer_ended) {
      co_await wait_for(end.reader, end.node.executor());
    }
    if (end.is_over() || end.arrived.empty()) {
      co_return fail(Errc::closed, "the stream from {} ended", peer.node.host());
    }
    const std::size_t count = std::min(into.size(), end.arrived.size());
    const auto first = end.arrived.begin();
    std::copy_n(first, count, into.begin());
    end.arrived.erase(first, first + static_cast<std::ptrdiff_t>(count));
    peer.unread -= count;
    wake(peer.writer);
    co_return count;
  }

  Task<Result<void>> write(std::vector<ByteView> pieces) override {
    const auto connection = connection_;
    Connection::End& end = connection->end(side_);
    for (ByteView piece : pieces) {
      while (!piece.empty()) {
        while (!end.is_over() && !end.peer_ended && end.unread >= window_bytes) {
          co_await wait_for(end.writer, end.node.executor());
        }
        if (end.is_over() || end.peer_ended || !end.node.is_up()) {
          co_return fail(Errc::closed, "the stream to {} ended", remote());
        }
        std::size_t count = std::min({piece.size(), window_bytes - end.unread, segment_bytes_max});
        // A reader must not rely on what was written together.
        if (fabric_.random().chance(0.1)) count = 1 + fabric_.random().below(count);
        end.unread += count;
        end.out->send(0, Bytes(piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(count)));
        piece = piece.subspan(count);
      }
    }
    co_return Result<void>{};
  }

  void close() override { connection_->close(side_); }
  std::string remote() const override { return connection_->end(1 - side_).node.host(); }

 private:
  Fabric& fabric_;
  std::shared_ptr<Connection> connection_;
  std::size_t side_;
};

}  // namespace

class SimulatedListener final : public Listener {
 public:
  SimulatedListener(SimulatedNode& node, Fabric& fabric)
      : node_(node), fabric_(fabric), life_(node.life()) {}
  ~SimulatedListener() override { close(); }

  void bound(Endpoint endpoint) { local_ = std::move(endpoint); }
  // False: too many wait already.
  bool offer(std::unique_ptr<Stream> stream) {
    if (backlog_.size() >= backlog_max) return false;
    backlog_.push_back(std::move(stream));
    wake(acceptor_);
    return true;
  }

  Task<Result<std::unique_ptr<Stream>>> accept() override {
    while (!closed_ && backlog_.empty()) co_await wait_for(acceptor_, node_.executor());
    if (closed_) co_return fail(Errc::closed, "listener {} was closed", local_.to_string());
    auto stream = std::move(backlog_.front());
    backlog_.pop_front();
    co_return stream;
  }
  Endpoint local() const override { return local_; }
  void close() override {
    if (std::exchange(closed_, true) || life_ != node_.life()) return;
    fabric_.unbind(local_);
    node_.network().listening_.erase(local_);
    backlog_.clear();
    wake(acceptor_);
  }

 private:
  SimulatedNode& node_;
  Fabric& fabric_;
  std::uint64_t life_;
  Endpoint local_;
  bool closed_ = false;
  std::deque<std::unique_ptr<Stream>> backlog_;
  std::shared_ptr<Suspension> acceptor_;
};

Task<Result<std::unique_ptr<Listener>>> SimulatedNetwork::listen(Endpoint endpoint) {
  auto listener = std::make_unique<SimulatedListener>(node_, fabric_);
  CO_TRY(Endpoint bound, fabric_.bind(node_, endpoint, listener.get()));
  listening_.insert(bound);
  listener->bound(std::move(bound));
  co_return listener;
}

Task<Result<std::unique_ptr<Stream>>> SimulatedNetwork::connect(Endpoint endpoint,
                                                                Duration timeout) {
  SimulatedNode* const peer = fabric_.find(endpoint.host, node_);
  if (peer == nullptr) co_return fail(Errc::closed, "no host {}", endpoint.host);
  const Time deadline = node_.now() + timeout;
  Duration wait = fabric_.delay(node_.id(), peer->id()) + fabric_.delay(peer->id(), node_.id());
  for (;;) {
    co_await sleep_until(node_, std::min(deadline, node_.now() + wait));
    if (node_.now() >= deadline) {
      co_return fail(Errc::timed_out, "no answer from {}", endpoint.to_string());
    }
    if (!peer->is_silent() && fabric_.reach_each_other(node_.id(), peer->id())) break;
    wait = connect_retry;
  }
  const auto at = fabric_.at({peer->host(), endpoint.port});
  auto* const* listener = std::get_if<SimulatedListener*>(&at);
  if (listener != nullptr) {
    const auto connection = std::make_shared<Connection>(node_, *peer);
    connection->open(fabric_);
    fabric_.add(connection);
    auto client = std::make_unique<SimulatedStream>(fabric_, connection, 0);
    auto server = std::make_unique<SimulatedStream>(fabric_, connection, 1);
    if ((*listener)->offer(std::move(server))) co_return client;
  }
  co_return fail(Errc::closed, "{} refused the connection", endpoint.to_string());
}

void SimulatedNetwork::crash() {
  for (const Endpoint& endpoint : listening_) fabric_.unbind(endpoint);
  listening_.clear();
}

}  // namespace qlab::runtime
