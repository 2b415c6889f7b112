#include "consensus/node/client_port.h"

#include "common/logging.h"
#include "runtime/frame_reader.h"
#include "wire/consensus/client_frames.h"

namespace qlab::consensus::node {

using wire::consensus::Reply;
using wire::consensus::ReplyFate;
using wire::consensus::RequestKind;

class ClientPort::Connection {
 public:
  Connection(runtime::Runtime& runtime, std::unique_ptr<runtime::Stream> stream)
      : stream_(std::move(stream)),
        reader(*stream_, wire::consensus::request_head_bytes + wire::consensus::body_bytes_max),
        progress_(runtime) {}

  void reply(const Reply& reply, std::size_t request_bytes) {
    open_bytes_ -= request_bytes;
    if (closed_) return;
    put(out_, reply);
    progress_.notify_all();
  }
  void begin_request(std::size_t bytes) { open_bytes_ += bytes; }

  Task<void> until_room() {
    while (!closed_ && open_bytes_ > open_bytes_max) co_await progress_.wait();
  }

  Task<void> write_loop() {
    while (!closed_) {
      if (out_.size() == 0) {
        co_await progress_.wait();
        continue;
      }
      const Bytes bytes = out_.take();
      out_ = {};
      std::vector<ByteView> pieces(1, bytes);
      const auto written = co_await stream_->write(std::move(pieces));
      if (!written) close();
      progress_.notify_all();
    }
  }

  void close() {
    closed_ = true;
    stream_->close();
    progress_.notify_all();
  }
  bool is_closed() const { return closed_; }
  std::string remote() const { return stream_->remote(); }

 private:
  std::unique_ptr<runtime::Stream> stream_;

 public:
  runtime::FrameReader reader;

 private:
  BytesWriter out_;             // Replies that wait for the writer.
  std::size_t open_bytes_ = 0;  // Of requests that are not answered.
  bool closed_ = false;
  runtime::Event progress_;
};

ClientPort::ClientPort(runtime::Runtime& runtime, Driver& driver, const Register& machine)
    : runtime_(runtime), driver_(driver), machine_(machine), gate_(runtime) {}

void ClientPort::start(std::unique_ptr<runtime::Listener> listener) {
  listener_ = std::move(listener);
  gate_.start([this] { return accept_loop(); });
}

Task<void> ClientPort::stop() {
  stopping_ = true;
  if (listener_ != nullptr) listener_->close();
  for (const auto& connection : connections_) connection->close();
  co_await gate_.close();
}

Task<void> ClientPort::accept_loop() {
  while (!stopping_) {
    auto stream = co_await listener_->accept();
    if (stopping_) co_return;
    if (!stream) {
      if (stream.error().code == Errc::closed) co_return;
      log(LogLevel::warn, "client port", "{}; accepting again", stream.error().message());
      continue;
    }
    auto connection = std::make_shared<Connection>(runtime_, std::move(*stream));
    connections_.insert(connection);
    gate_.start([connection] { return connection->write_loop(); });
    gate_.start([this, connection] { return serve(connection); });
  }
}

Task<void> ClientPort::serve(std::shared_ptr<Connection> connection) {
  while (!connection->is_closed()) {
    const auto filled = co_await connection->reader.fill();
    if (!filled || connection->is_closed()) break;
    while (const auto frame = connection->reader.take()) {
      const auto request = wire::consensus::decode_request(*frame);
      if (!request) {
        log(LogLevel::warn, "client port", "closing the connection of {}: {}", connection->remote(),
            request.error().context);
        connection->close();
        break;
      }
      const Asked asked{connection, request->sequence, request->body.size()};
      connection->begin_request(asked.bytes);
      if (request->kind == RequestKind::propose) {
        add(asked, request->body);
      } else if (request->kind == RequestKind::read) {
        gate_.start([this, asked] { return read(asked); });
      } else {
        const std::string line = status_line();
        Reply reply;
        reply.kind = RequestKind::status;
        reply.sequence = asked.sequence;
        reply.body = as_view(line);
        connection->reply(reply, asked.bytes);
      }
    }
    co_await connection->until_room();
  }
  connection->close();
  connections_.erase(connection);
}

void ClientPort::add(Asked asked, ByteView body) {
  if (gathering_ == nullptr) {
    gathering_ = std::make_shared<Batch>();
    if (!stopping_) gate_.start([this] { return propose_soon(); });
  }
  gathering_->bytes += body.size();
  gathering_->bodies.emplace_back(body.begin(), body.end());
  gathering_->asked.push_back(std::move(asked));
  if (gathering_->bytes >= batch_bytes_max) hand_in();
}

// A task's first line runs when all that is ready now has gone on.
Task<void> ClientPort::propose_soon() {
  hand_in();
  co_return;
}

void ClientPort::hand_in() {
  if (gathering_ == nullptr || stopping_) return;
  gate_.start([this, batch = std::exchange(gathering_, nullptr)] { return propose(batch); });
}

Task<void> ClientPort::propose(std::shared_ptr<Batch> batch) {
  const ProposeResult result = co_await driver_.propose(std::move(batch->bodies), std::nullopt);
  const std::optional<NodeId> leader = result.hint ? result.hint : machine_.leader();
  std::int64_t behind = static_cast<std::int64_t>(batch->asked.size());
  for (const Asked& asked : batch->asked) {
    --behind;
    Reply reply;
    reply.sequence = asked.sequence;
    reply.fate = static_cast<ReplyFate>(result.fate);
    reply.leader = leader ? leader->value() : -1;
    reply.epoch = result.at.epoch.value();
    reply.index = result.at.index.value() - behind;
    asked.by->reply(reply, asked.bytes);
  }
}

Task<void> ClientPort::read(Asked asked) {
  const auto barrier = co_await driver_.read_barrier();
  Reply reply;
  reply.kind = RequestKind::read;
  reply.sequence = asked.sequence;
  if (!barrier) reply.fate = ReplyFate::rejected;
  const std::optional<NodeId> leader = machine_.leader();
  reply.leader = leader ? leader->value() : -1;
  reply.index = driver_.applied().value();
  if (barrier) reply.body = machine_.last();
  asked.by->reply(reply, asked.bytes);
}

std::string ClientPort::status_line() const {
  const Status status = driver_.status();
  return fmt::format("role={} epoch={} leader={} commit={} last={} applied={} entries={}",
                     status.role, status.epoch, status.leader ? status.leader->value() : -1,
                     status.commit, status.last.index, driver_.applied(), machine_.count());
}

}  // namespace qlab::consensus::node
