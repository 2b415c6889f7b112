#include "runtime/real/grpc_transport.h"

#include <mutex>

#include <grpc/support/log.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include "common/logging.h"
#include "runtime/real/grpc_calls.h"
#include "runtime/real/grpc_inbound.h"
#include "runtime/real/grpc_link.h"
#include "runtime/real/helper_thread.h"

namespace qlab::runtime {
namespace {

// Above what one link may queue, so that whatever was taken for sending can be received.
constexpr int receive_bytes_max = static_cast<int>(Transport::peer_queue_bytes_max) + (1 << 20);
constexpr int keepalive_interval_ms = 2000;
constexpr int ping_interval_min_ms = 500;
constexpr std::chrono::milliseconds shutdown_grace{50};

// gRPC's own words are for whoever debugs gRPC; what matters comes to us as a status.
void quieten_grpc() {
  static std::once_flag once;
  std::call_once(once, [] {
    gpr_set_log_function(
        [](gpr_log_func_args* line) { log(LogLevel::debug, "grpc", "{}", line->message); });
  });
}

void set_arguments(grpc::ServerBuilder& builder) {
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // A busy port is an error.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, keepalive_interval_ms);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, keepalive_interval_ms);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             ping_interval_min_ms);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
  builder.SetMaxReceiveMessageSize(receive_bytes_max);
}

// Everything between start() and stop().
struct Service {
  Service(Runtime& runtime, TransportIdentity self, TransportHandler& handler, CallHandler calls_in,
          std::unique_ptr<grpc::ServerCompletionQueue> queue)
      : pump(runtime.executor(), std::move(queue)),
        parts{runtime, pump, handler, std::move(self)},
        inbound(parts, [this](NodeId peer, Endpoint at) { heard_of(peer, std::move(at)); }),
        calls(runtime, pump, std::move(calls_in)),
        helper(runtime.executor()),
        gate(runtime) {}

  GrpcLink& link_to(NodeId peer, Endpoint endpoint) {
    auto link = std::make_unique<GrpcLink>(parts, peer, std::move(endpoint));
    GrpcLink& added = *links.emplace(peer, std::move(link)).first->second;
    gate.start([&added] { return added.run(); });
    return added;
  }

  void heard_of(NodeId peer, Endpoint endpoint) {
    if (stopping) return;
    const auto known = links.find(peer);
    if (known == links.end()) {
      link_to(peer, std::move(endpoint));
      return;
    }
    if (!parts.self.peers.contains(peer)) known->second->move_to(std::move(endpoint));
    known->second->retry_now();
  }

  GrpcPump pump;
  GrpcParts parts;
  peer::Peer::AsyncService peer_service;
  grpc::AsyncGenericService call_service;
  std::unique_ptr<grpc::Server> server;
  GrpcInbound inbound;
  GrpcCalls calls;
  HelperThread helper;  // Shutting the server down blocks.
  Gate gate;
  std::map<NodeId, std::unique_ptr<GrpcLink>> links;
  bool stopping = false;
};

class GrpcTransport final : public Transport {
 public:
  explicit GrpcTransport(Runtime& runtime) : runtime_(runtime) {}
  ~GrpcTransport() override { CHECK_MSG(service_ == nullptr, "the transport was not stopped"); }

  Task<Result<void>> start(TransportIdentity identity, TransportHandler& handler,
                           CallHandler calls) override {
    CHECK(service_ == nullptr);
    quieten_grpc();
    CO_TRY_VOID(co_await wait_for_port(identity.listen));

    grpc::ServerBuilder builder;
    set_arguments(builder);
    bound_ = identity.listen;
    int port = 0;
    builder.AddListeningPort(identity.listen.to_string(), grpc::InsecureServerCredentials(), &port);
    service_ = std::make_unique<Service>(runtime_, std::move(identity), handler, std::move(calls),
                                         builder.AddCompletionQueue());
    builder.RegisterService(&service_->peer_service);
    builder.RegisterAsyncGenericService(&service_->call_service);
    service_->server = builder.BuildAndStart();
    if (service_->server == nullptr) {
      service_->pump.stop();
      service_.reset();
      co_return fail(Errc::exists, "port {} was taken while we bound it", bound_.to_string());
    }
    bound_.port = static_cast<std::uint16_t>(port);
    service_->parts.self.listen = bound_;
    begin();
    co_return Result<void>{};
  }

  Task<void> stop() override {
    if (service_ == nullptr || service_->stopping) co_return;
    Service& service = *service_;
    service.stopping = true;
    service.inbound.stop();
    for (const auto& [peer, link] : service.links) link->stop();
    auto shut_down = [server = service.server.get()] {
      server->Shutdown(std::chrono::system_clock::now() + shutdown_grace);
      return true;
    };
    co_await service.helper.run(std::move(shut_down));
    co_await service.gate.close();
    service.pump.stop();
    service_.reset();
  }

  Endpoint bound() const override { return bound_; }

  bool send(NodeId to, Channel channel, Bytes payload) override {
    GrpcLink* link = find(to);
    return link != nullptr && link->send(channel, std::move(payload));
  }

  void close_link(NodeId peer) override {
    if (GrpcLink* link = find(peer)) link->close();
  }

 private:
  // gRPC would say no more than that it failed, and not wait: so the port is tried first.
  Task<Result<void>> wait_for_port(Endpoint endpoint) {
    if (endpoint.port == 0) co_return Result<void>{};
    auto listener = co_await runtime_.network().listen(endpoint);
    if (listener) co_return Result<void>{};
    if (listener.error().code == Errc::exists) co_return fail(listener.error());
    co_return fail(Errc::invalid, "{}", listener.error().context);
  }

  void begin() {
    Service& service = *service_;
    service.gate.start([&service] { return service.inbound.run(service.peer_service); });
    service.gate.start([&service] { return service.calls.run(service.call_service); });
    for (const auto& [peer, endpoint] : service.parts.self.peers) {
      if (peer != service.parts.self.node) service.link_to(peer, endpoint);
    }
  }

  GrpcLink* find(NodeId peer) {
    if (service_ == nullptr) return nullptr;
    const auto found = service_->links.find(peer);
    return found == service_->links.end() ? nullptr : found->second.get();
  }

  Runtime& runtime_;
  std::unique_ptr<Service> service_;  // While started.
  Endpoint bound_;
};

}  // namespace

std::unique_ptr<Transport> make_grpc_transport(Runtime& runtime) {
  return std::make_unique<GrpcTransport>(runtime);
}

}  // namespace qlab::runtime
