#include "runtime/real/grpc_inbound.h"

#include <grpcpp/server_context.h>

#include "common/logging.h"

namespace qlab::runtime {

struct GrpcInbound::Stream {
  grpc::ServerContext context;
  grpc::ServerAsyncReaderWriter<peer::Hello, peer::Frame> frames{&context};
  NodeId peer = no_node;
  LinkEpoch epoch;
};

Task<void> GrpcInbound::run(peer::Peer::AsyncService& service) {
  for (;;) {
    auto stream = std::make_shared<Stream>();
    auto request = [this, &service, &stream](void* tag) {
      auto* queue = parts_.pump.queue();
      service.RequestLink(&stream->context, &stream->frames, queue, queue, tag);
    };
    const bool ok = co_await parts_.pump.run(std::move(request));
    if (!ok) break;
    gate_.start([this, stream] { return serve(stream); });
  }
  co_await gate_.close();
}

void GrpcInbound::stop() {
  stopping_ = true;
  for (Stream* stream : open_) stream->context.TryCancel();
}

Task<void> GrpcInbound::serve(std::shared_ptr<Stream> stream) {
  open_.insert(stream.get());
  const grpc::Status status = co_await converse(stream);
  const auto current = current_.find(stream->peer);
  if (current != current_.end() && current->second == stream.get()) current_.erase(current);
  open_.erase(stream.get());
  auto finish = [&stream, &status](void* tag) { stream->frames.Finish(status, tag); };
  co_await parts_.pump.run(std::move(finish));
}

Task<grpc::Status> GrpcInbound::converse(std::shared_ptr<Stream> stream) {
  const grpc::Status stopped(grpc::StatusCode::UNAVAILABLE, "the node stops");
  peer::Frame frame;
  auto read = [stream, &frame](void* tag) { stream->frames.Read(&frame, tag); };
  const bool is_read = co_await parts_.pump.run(read);
  if (!is_read) co_return grpc::Status::CANCELLED;
  if (stopping_) co_return stopped;
  grpc::Status judgement = judge(frame);
  if (!judgement.ok()) co_return judgement;

  stream->peer = NodeId(frame.hello().node_id());
  const auto previous = current_.find(stream->peer);
  if (previous != current_.end()) previous->second->context.TryCancel();
  current_[stream->peer] = stream.get();
  LinkEpoch& epoch = epochs_[stream->peer];
  epoch = epoch.next();
  stream->epoch = epoch;
  on_hello_(stream->peer, Endpoint::parse(frame.hello().endpoint()).value());

  peer::Hello answer;
  answer.set_node_id(parts_.self.node.value());
  answer.set_cluster_id(parts_.self.cluster_id);
  answer.set_endpoint(parts_.self.listen.to_string());
  answer.set_link_epoch(epoch.value());
  auto write = [stream, &answer](void* tag) { stream->frames.Write(answer, tag); };
  bool ok = co_await parts_.pump.run(std::move(write));
  while (ok) {
    ok = co_await parts_.pump.run(read);
    if (ok && !stopping_ && frame.has_batch()) deliver(*stream, frame.batch());
  }
  co_return stopping_ ? stopped : grpc::Status::OK;
}

// Whether the sender of the first frame is let in.
grpc::Status GrpcInbound::judge(const peer::Frame& frame) {
  const peer::Hello& hello = frame.hello();
  if (!frame.has_hello() || hello.node_id() < 0 || !Endpoint::parse(hello.endpoint())) {
    return {grpc::StatusCode::INVALID_ARGUMENT, "the first frame is not a hello"};
  }
  std::string reason;
  if (hello.cluster_id() != parts_.self.cluster_id) {
    reason = fmt::format("node {} belongs to cluster {}, and node {} to {}", hello.node_id(),
                         hello.cluster_id(), parts_.self.node, parts_.self.cluster_id);
  } else if (hello.node_id() == parts_.self.node.value()) {
    reason = fmt::format("two nodes say they are node {}", hello.node_id());
  }
  if (reason.empty()) return grpc::Status::OK;

  const Time now = parts_.runtime.now();
  const auto [logged, is_new] = refusal_logged_.try_emplace(NodeId(hello.node_id()), now);
  if (is_new || now - logged->second >= GrpcLink::refused_log_interval) {
    logged->second = now;
    log(LogLevel::warn, parts_.who(), "a link from {} is refused: {}", hello.endpoint(), reason);
  }
  return {grpc::StatusCode::FAILED_PRECONDITION, reason};
}

// A peer that came back has a newer stream; what is left of an older one comes too late.
void GrpcInbound::deliver(Stream& stream, const peer::Batch& batch) {
  for (const peer::Message& message : batch.messages()) {
    const auto current = current_.find(stream.peer);
    if (current == current_.end() || current->second != &stream) return;
    if (message.channel() < static_cast<std::uint32_t>(Channel::metadata_consensus) ||
        message.channel() > static_cast<std::uint32_t>(last_channel)) {
      log(LogLevel::debug, parts_.who(), "dropped a message of node {} for unknown channel {}",
          stream.peer, message.channel());
      continue;
    }
    const ByteView payload = as_view(message.payload());
    parts_.handler.on_message(stream.peer, stream.epoch, static_cast<Channel>(message.channel()),
                              Bytes(payload.begin(), payload.end()));
  }
}

}  // namespace qlab::runtime
