#pragma once
// A client's connections to the brokers of a simulated cluster: one each, one request at a time.

#include <map>
#include <memory>

#include "broker/frame_reader.h"
#include "common/check.h"
#include "runtime/network.h"
#include "wire/kafka/frame.h"
#include "wire/kafka/message.h"

namespace qlab::sim {

class ClusterConnections {
 public:
  explicit ClusterConnections(runtime::Runtime& runtime) : runtime_(runtime) {}

  // The answer's message may view the frame.
  template <class Response>
  struct Answer {
    std::shared_ptr<const Bytes> frame;
    Response message;
  };
  // Sends a request and waits for its answer. Errors: closed and timed_out, after which the outcome
  // is open; the connection is made anew for the next request.
  template <class Request>
  runtime::Task<Result<Answer<typename Request::Response>>> ask(NodeId broker, Request request,
                                                                std::int16_t version,
                                                                Duration patience);

 private:
  struct Connection {
    std::unique_ptr<runtime::Stream> stream;
    std::unique_ptr<broker::FrameReader> reader;
  };
  using Frame = std::shared_ptr<const Bytes>;

  runtime::Task<Result<Frame>> exchange(NodeId broker, Bytes frame, Duration patience);
  runtime::Task<Result<std::shared_ptr<Connection>>> connection_to(NodeId broker,
                                                                   Duration patience);

  runtime::Runtime& runtime_;
  std::int32_t correlation_id_ = 0;
  std::map<NodeId, std::shared_ptr<Connection>> open_;
};

template <class Request>
runtime::Task<Result<ClusterConnections::Answer<typename Request::Response>>>
ClusterConnections::ask(NodeId broker, Request request, std::int16_t version, Duration patience) {
  using Response = typename Request::Response;
  const std::int32_t id = ++correlation_id_;
  const wire::RequestHeader header{Request::api_key, version, id, "sim"};
  BytesWriter out;
  CO_TRY_VOID(wire::encode_request_frame(out, header, request));
  Answer<Response> answer;
  CO_TRY(answer.frame, co_await exchange(broker, out.take(), patience));
  BytesReader in(*answer.frame);
  CO_TRY(const std::int32_t answered, wire::decode_response_header(in, Request::api_key, version));
  CHECK(answered == id);
  CO_TRY(answer.message, wire::decode<Response>(in, version));
  co_return answer;
}

}  // namespace qlab::sim
