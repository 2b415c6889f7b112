#include "runtime/tcp_link.h"

#include <algorithm>

#include "common/logging.h"

namespace qlab::runtime::tcp {
namespace {

constexpr std::size_t message_overhead = 64;  // Of a queued message, so that empty ones count too.
constexpr int pings_missed_max = 2;           // A ping's interval each; then the peer is gone.

}  // namespace

Task<void> Link::run() {
  Duration backoff = backoff_min;
  while (!stopping_) {
    const Time begin = parts_.runtime.now();
    const LinkEpoch before = epoch_;
    const LinkEnd end = co_await one_connection();
    if (stopping_) break;
    report(end);
    const bool was_up = epoch_ != before;
    if (was_up && parts_.runtime.now() - begin >= settled_min) backoff = backoff_min;
    co_await pause(end.refused ? refused_pause : backoff);
    backoff = std::min(backoff * 2, backoff_max);
  }
}

void Link::stop() {
  stopping_ = true;
  shut();
}

// From here on nothing is taken, and the connection ends.
void Link::shut() {
  up_ = false;
  queue_.clear();
  queue_bytes_ = 0;
  if (stream_ != nullptr) stream_->close();
  changed_.notify_all();
  ended_.notify_all();
}

void Link::close() {
  if (up_) shut();
}

void Link::retry_now() {
  retry_now_ = true;
  changed_.notify_all();
}

bool Link::send(Channel channel, Bytes payload) {
  const std::size_t bytes = payload.size() + message_overhead;
  if (!up_ || queue_bytes_ + bytes > Transport::peer_queue_bytes_max) return false;
  queue_bytes_ += bytes;
  queue_.push_back({channel, std::move(payload)});
  changed_.notify_all();
  return true;
}

// With jitter of a fifth, so that the nodes of a cluster do not come back in step.
Task<void> Link::pause(Duration backoff) {
  const auto length = backoff.count();
  const Duration drawn(parts_.runtime.random().between(length * 4 / 5, length * 6 / 5));
  const Time due = parts_.runtime.now() + drawn;
  while (!stopping_ && !retry_now_ && parts_.runtime.now() < due) {
    co_await changed_.wait_until(due);
  }
  retry_now_ = false;
}

// What does not change is said once a minute.
void Link::report(const LinkEnd& end) {
  if (!end.refused) {
    log(LogLevel::debug, parts_.who(), "no link to node {} at {}: {}", peer_, endpoint_.to_string(),
        end.why);
    return;
  }
  const Time now = parts_.runtime.now();
  if (end.why == refusal_ && now - refusal_logged_ < refused_log_interval) return;
  refusal_ = end.why;
  refusal_logged_ = now;
  log(LogLevel::warn, parts_.who(), "link to node {} at {} is refused: {}; trying again every {} s",
      peer_, endpoint_.to_string(), end.why,
      std::chrono::duration_cast<std::chrono::seconds>(refused_pause).count());
}

Task<LinkEnd> Link::one_connection() {
  LinkEnd end;
  const Time due = parts_.runtime.now() + connect_max;
  auto connected = co_await parts_.runtime.network().connect(endpoint_, connect_max);
  if (!connected || stopping_) {
    end.why = connected ? "the node stops" : connected.error().context;
    co_return end;
  }
  const std::unique_ptr<Stream> stream = std::move(*connected);
  stream_ = stream.get();
  const TimerId limit = parts_.runtime.call_at(due, [this] { stream_->close(); });
  FrameReader reader(*stream, frame_bytes_max);
  end = co_await say_hello(*stream, reader);
  parts_.runtime.cancel(limit);
  if (end.why.empty() && !stopping_) {
    co_await carry(*stream, reader);
    end.why = "the connection broke";
  }
  stream_ = nullptr;
  stream->close();
  co_return end;
}

// No words in what it returns: we are let in.
Task<LinkEnd> Link::say_hello(Stream& stream, FrameReader& reader) {
  LinkEnd end;
  Hello hello;
  hello.node = parts_.self.node;
  hello.cluster_id = parts_.self.cluster_id;
  hello.endpoint = parts_.self.listen.to_string();
  hello.link_epoch = epoch_.next();
  const Bytes bytes = encode(hello);
  std::vector<ByteView> pieces(1, bytes);
  auto done = co_await stream.write(std::move(pieces));
  if (done) done = co_await reader.fill();
  if (!done) {
    end.why = done.error().context;
    co_return end;
  }
  const ByteView frame = *reader.take();
  const ByteView body = frame.subspan(1);
  if (static_cast<FrameType>(frame.front()) == FrameType::refusal) {
    end.refused = true;
    end.why = std::string(as_text(body));
    co_return end;
  }
  const auto answer = decode_hello(body);
  if (static_cast<FrameType>(frame.front()) != FrameType::hello || !answer) {
    end.refused = true;
    end.why = "its answer is not a hello";
  } else if (answer->cluster_id != parts_.self.cluster_id) {
    end.refused = true;
    end.why = fmt::format("it belongs to cluster {}, and we to {}", answer->cluster_id,
                          parts_.self.cluster_id);
  } else if (answer->node != peer_) {
    end.refused = true;
    end.why = fmt::format("it says it is node {}", answer->node);
  }
  co_return end;
}

// From the peer's hello to the end of the connection.
Task<void> Link::carry(Stream& stream, FrameReader& reader) {
  epoch_ = epoch_.next();
  const LinkEpoch epoch = epoch_;
  up_ = true;
  ping_due_ = false;
  heard_ = parts_.runtime.now();
  refusal_.clear();
  log(LogLevel::debug, parts_.who(), "link {} to node {} is up", epoch, peer_);
  parts_.handler.on_link_up(peer_, epoch);

  Gate writing(parts_.runtime);
  writing.start([this, &stream] { return write_queue(stream); });
  writing.start([this, &stream] { return watch(stream); });
  co_await hear_pongs(reader);
  shut();
  parts_.handler.on_link_down(peer_, epoch);
  co_await writing.close();
}

// The peer says next to nothing, so a read ends when the connection does: a killed peer shows here
// at once.
Task<void> Link::hear_pongs(FrameReader& reader) {
  for (;;) {
    const auto heard = co_await reader.fill();
    if (!heard) co_return;
    while (reader.take()) {
    }
    heard_ = parts_.runtime.now();
  }
}

struct Link::Batch {
  BytesWriter owned;
  struct Piece {
    std::size_t end_of_owned;  // The bytes of `owned` up to here go before it.
    Bytes payload;
  };
  std::vector<Piece> large;

  std::vector<ByteView> pieces() const {
    std::vector<ByteView> views;
    std::size_t at = 0;
    for (const Piece& piece : large) {
      views.push_back(owned.view().subspan(at, piece.end_of_owned - at));
      views.push_back(piece.payload);
      at = piece.end_of_owned;
    }
    if (at < owned.size()) views.push_back(owned.view().subspan(at));
    return views;
  }
};

void Link::take_batch(Batch& batch) {
  std::size_t bytes = 0;
  while (!queue_.empty() && bytes < write_bytes_max) {
    Queued next = std::move(queue_.front());
    queue_.pop_front();
    queue_bytes_ -= next.payload.size() + message_overhead;
    bytes += next.payload.size();
    put_message_head(batch.owned, next.channel, next.payload.size());
    if (next.payload.size() <= copied_bytes_max) {
      batch.owned.put_bytes(next.payload);
    } else {
      batch.large.push_back({batch.owned.size(), std::move(next.payload)});
    }
  }
}

// All that queued up while a write was under way goes into the next one, up to write_bytes_max.
Task<void> Link::write_queue(Stream& stream) {
  const Bytes ping = frame(FrameType::ping, {});
  bool ok = true;
  while (ok && up_) {
    if (queue_.empty() && !ping_due_) {
      co_await changed_.wait();
      continue;
    }
    Batch batch;
    if (std::exchange(ping_due_, false)) batch.owned.put_bytes(ping);
    take_batch(batch);
    auto pieces = batch.pieces();
    const auto written = co_await stream.write(std::move(pieces));
    ok = written.has_value();
  }
  stream.close();  // Ends the read as well, if the write is what failed.
}

// A process that is frozen takes bytes for a while and says nothing.
Task<void> Link::watch(Stream& stream) {
  while (up_) {
    const Time due = parts_.runtime.now() + ping_interval;
    while (up_ && parts_.runtime.now() < due) co_await ended_.wait_until(due);
    if (!up_) co_return;
    if (parts_.runtime.now() - heard_ > pings_missed_max * ping_interval) stream.close();
    ping_due_ = true;
    changed_.notify_all();
  }
}

}  // namespace qlab::runtime::tcp
