#include "sim/cluster_connections.h"

#include "sim/cluster_swarm.h"

namespace qlab::sim {
namespace {

constexpr std::size_t frame_bytes_max = 100u << 20;

}  // namespace

runtime::Task<Result<std::shared_ptr<ClusterConnections::Connection>>>
ClusterConnections::connection_to(NodeId broker, Duration patience) {
  const auto open = open_.find(broker);
  if (open != open_.end()) co_return open->second;
  auto connection = std::make_shared<Connection>();
  CO_TRY(connection->stream,
         co_await runtime_.network().connect(kafka_endpoint_of(broker), patience));
  connection->reader = std::make_unique<broker::FrameReader>(*connection->stream, frame_bytes_max);
  open_[broker] = connection;
  co_return connection;
}

runtime::Task<Result<ClusterConnections::Frame>> ClusterConnections::exchange(NodeId broker,
                                                                              Bytes frame,
                                                                              Duration patience) {
  CO_TRY(const std::shared_ptr<Connection> connection, co_await connection_to(broker, patience));
  const Time due = runtime_.now() + patience;
  const runtime::TimerId timer =
      runtime_.call_at(due, [connection] { connection->stream->close(); });
  const std::vector<ByteView> pieces(1, frame);
  const Result<void> sent = co_await connection->stream->write(pieces);
  Result<Frame> answer = fail(Errc::closed, "the request was not sent");
  if (sent) answer = co_await connection->reader->next();
  runtime_.cancel(timer);
  if (!answer) {
    connection->stream->close();
    open_.erase(broker);
  }
  co_return answer;
}

}  // namespace qlab::sim
