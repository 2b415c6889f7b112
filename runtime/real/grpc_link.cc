#include "runtime/real/grpc_link.h"

#include <algorithm>

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include "common/logging.h"
#include "peer.grpc.pb.h"

namespace qlab::runtime {
namespace {

constexpr std::size_t message_overhead = 64;  // Of a queued message, so that empty ones count too.
constexpr int keepalive_interval_ms = 2000;   // A frozen host is noticed after two of these.

// Each attempt gets a connection of its own, so gRPC's backoff and its sharing of connections
// between channels never come into play.
std::shared_ptr<grpc::Channel> make_channel(const Endpoint& endpoint) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, keepalive_interval_ms);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, keepalive_interval_ms);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetMaxReceiveMessageSize(-1);
  return grpc::CreateCustomChannel(endpoint.to_string(), grpc::InsecureChannelCredentials(),
                                   arguments);
}

}  // namespace

struct GrpcLink::Attempt {
  explicit Attempt(const Endpoint& endpoint) : stub(peer::Peer::NewStub(make_channel(endpoint))) {}

  std::unique_ptr<peer::Peer::Stub> stub;
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<peer::Frame, peer::Hello>> stream;
};

Task<void> GrpcLink::run() {
  Duration backoff = backoff_min;
  while (!stopping_) {
    const Time begin = parts_.runtime.now();
    const LinkEpoch before = epoch_;
    const StreamEnd end = co_await one_stream();
    if (stopping_) break;
    report(end);
    const bool was_up = epoch_ != before;
    if (was_up && parts_.runtime.now() - begin >= settled_min) backoff = backoff_min;
    co_await pause(end.refused ? refused_pause : backoff);
    backoff = std::min(backoff * 2, backoff_max);
  }
}

void GrpcLink::stop() {
  stopping_ = true;
  shut();
}

// From here on nothing is taken, and the stream ends.
void GrpcLink::shut() {
  up_ = false;
  queue_.clear();
  queue_bytes_ = 0;
  if (attempt_ != nullptr) attempt_->context.TryCancel();
  changed_.notify_all();
}

void GrpcLink::close() {
  if (up_) shut();
}

void GrpcLink::retry_now() {
  retry_now_ = true;
  changed_.notify_all();
}

bool GrpcLink::send(Channel channel, Bytes payload) {
  const std::size_t bytes = payload.size() + message_overhead;
  if (!up_ || queue_bytes_ + bytes > Transport::peer_queue_bytes_max) return false;
  queue_bytes_ += bytes;
  queue_.push_back({channel, std::move(payload)});
  changed_.notify_all();
  return true;
}

// With jitter of a fifth, so that the nodes of a cluster do not come back in step.
Task<void> GrpcLink::pause(Duration backoff) {
  const auto length = backoff.count();
  const Duration drawn(parts_.runtime.random().between(length * 4 / 5, length * 6 / 5));
  const Time due = parts_.runtime.now() + drawn;
  while (!stopping_ && !retry_now_ && parts_.runtime.now() < due) {
    co_await changed_.wait_until(due);
  }
  retry_now_ = false;
}

// What does not change is said once a minute.
void GrpcLink::report(const StreamEnd& end) {
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

Task<StreamEnd> GrpcLink::one_stream() {
  Attempt attempt(endpoint_);
  attempt_ = &attempt;
  const TimerId limit = parts_.runtime.call_at(parts_.runtime.now() + connect_max,
                                               [&attempt] { attempt.context.TryCancel(); });
  StreamEnd end = co_await say_hello(attempt);
  parts_.runtime.cancel(limit);
  const bool agreed = !end.refused && end.why.empty();
  if (agreed && !stopping_) co_await carry(attempt);

  attempt.context.TryCancel();
  grpc::Status status;
  auto finish = [&attempt, &status](void* tag) { attempt.stream->Finish(&status, tag); };
  co_await parts_.pump.run(std::move(finish));
  attempt_ = nullptr;
  if (end.refused) co_return end;
  end.refused = status.error_code() == grpc::StatusCode::FAILED_PRECONDITION;
  end.why = status.error_message();
  co_return end;
}

// Returns a refusal of our own making, or a reason when the stream broke, or neither.
Task<StreamEnd> GrpcLink::say_hello(Attempt& attempt) {
  attempt.stream = attempt.stub->PrepareAsyncLink(&attempt.context, parts_.pump.queue());
  auto start = [&attempt](void* tag) { attempt.stream->StartCall(tag); };
  bool ok = co_await parts_.pump.run(std::move(start));

  peer::Frame frame;
  peer::Hello* hello = frame.mutable_hello();
  hello->set_node_id(parts_.self.node.value());
  hello->set_cluster_id(parts_.self.cluster_id);
  hello->set_endpoint(parts_.self.listen.to_string());
  hello->set_link_epoch(epoch_.next().value());
  if (ok) {
    auto write = [&attempt, &frame](void* tag) { attempt.stream->Write(frame, tag); };
    ok = co_await parts_.pump.run(std::move(write));
  }
  peer::Hello answer;
  if (ok) {
    auto read = [&attempt, &answer](void* tag) { attempt.stream->Read(&answer, tag); };
    ok = co_await parts_.pump.run(std::move(read));
  }
  StreamEnd end;
  if (!ok) {
    end.why = "the stream broke";
    co_return end;
  }
  if (answer.cluster_id() != parts_.self.cluster_id) {
    end.refused = true;
    end.why = fmt::format("it belongs to cluster {}, and we to {}", answer.cluster_id(),
                          parts_.self.cluster_id);
  } else if (answer.node_id() != peer_.value()) {
    end.refused = true;
    end.why = fmt::format("it says it is node {}", answer.node_id());
  }
  co_return end;
}

// From the peer's hello to the end of the stream.
Task<void> GrpcLink::carry(Attempt& attempt) {
  epoch_ = epoch_.next();
  const LinkEpoch epoch = epoch_;
  up_ = true;
  refusal_.clear();
  log(LogLevel::debug, parts_.who(), "link {} to node {} is up", epoch, peer_);
  parts_.handler.on_link_up(peer_, epoch);

  Gate writing(parts_.runtime);
  writing.start([this, &attempt] { return write_queue(attempt); });
  // The peer says no more, so a read ends when the stream does: a killed peer shows here at once.
  bool alive = true;
  while (alive) {
    peer::Hello ignored;
    auto read = [&attempt, &ignored](void* tag) { attempt.stream->Read(&ignored, tag); };
    alive = co_await parts_.pump.run(std::move(read));
  }
  shut();
  parts_.handler.on_link_down(peer_, epoch);
  co_await writing.close();
}

// All that queued up while a write was under way goes into the next one, up to batch_bytes_max.
Task<void> GrpcLink::write_queue(Attempt& attempt) {
  peer::Frame frame;
  bool ok = true;
  while (ok && up_) {
    if (queue_.empty()) {
      co_await changed_.wait();
      continue;
    }
    peer::Batch* batch = frame.mutable_batch();
    batch->Clear();
    std::size_t bytes = 0;
    while (!queue_.empty()) {
      const Queued& next = queue_.front();
      bytes += next.payload.size() + message_overhead;
      if (batch->messages_size() > 0 && bytes > batch_bytes_max) break;
      peer::Message* message = batch->add_messages();
      message->set_channel(static_cast<std::uint32_t>(next.channel));
      message->set_payload(next.payload.data(), next.payload.size());
      queue_bytes_ -= next.payload.size() + message_overhead;
      queue_.pop_front();
    }
    auto write = [&attempt, &frame](void* tag) { attempt.stream->Write(frame, tag); };
    ok = co_await parts_.pump.run(std::move(write));
  }
  attempt.context.TryCancel();  // Ends the read as well, if the write is what failed.
}

}  // namespace qlab::runtime
