#include "runtime/tcp_transport.h"

#include "common/check.h"
#include "runtime/tcp_inbound.h"
#include "runtime/tcp_link.h"

namespace qlab::runtime {
namespace {

// Everything between start() and stop().
struct Service {
  Service(Runtime& runtime, TransportIdentity self, TransportHandler& handler, CallHandler calls)
      : parts{runtime, handler, std::move(self)},
        inbound(parts, std::move(calls),
                [this](NodeId peer, Endpoint at) { heard_of(peer, std::move(at)); }),
        gate(runtime) {}

  void link_to(NodeId peer, Endpoint endpoint) {
    auto link = std::make_unique<tcp::Link>(parts, peer, std::move(endpoint));
    tcp::Link& added = *links.emplace(peer, std::move(link)).first->second;
    gate.start([&added] { return added.run(); });
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

  tcp::Parts parts;
  tcp::Inbound inbound;
  Gate gate;
  std::map<NodeId, std::unique_ptr<tcp::Link>> links;
  bool stopping = false;
};

class TcpTransport final : public Transport {
 public:
  explicit TcpTransport(Runtime& runtime) : runtime_(runtime) {}
  ~TcpTransport() override { CHECK_MSG(service_ == nullptr, "the transport was not stopped"); }

  Task<Result<void>> start(TransportIdentity identity, TransportHandler& handler,
                           CallHandler calls) override {
    CHECK(service_ == nullptr);
    auto listening = co_await runtime_.network().listen(identity.listen);
    if (!listening) {
      Error error = std::move(listening).error();
      if (error.code != Errc::exists) error.code = Errc::invalid;
      co_return fail(std::move(error));
    }
    bound_ = (*listening)->local();
    identity.listen = bound_;
    service_ = std::make_unique<Service>(runtime_, std::move(identity), handler, std::move(calls));
    begin(std::move(*listening));
    co_return Result<void>{};
  }

  Task<void> stop() override {
    if (service_ == nullptr || service_->stopping) co_return;
    Service& service = *service_;
    service.stopping = true;
    service.inbound.stop();
    for (const auto& [peer, link] : service.links) link->stop();
    co_await service.gate.close();
    service_.reset();
  }

  Endpoint bound() const override { return bound_; }

  bool send(NodeId to, Channel channel, Bytes payload) override {
    tcp::Link* link = find(to);
    return link != nullptr && link->send(channel, std::move(payload));
  }

  void close_link(NodeId peer) override {
    if (tcp::Link* link = find(peer)) link->close();
  }

 private:
  void begin(std::unique_ptr<Listener> listener) {
    Service& service = *service_;
    const auto held = std::make_shared<std::unique_ptr<Listener>>(std::move(listener));
    service.gate.start([&service, held] { return service.inbound.run(std::move(*held)); });
    for (const auto& [peer, endpoint] : service.parts.self.peers) {
      if (peer != service.parts.self.node) service.link_to(peer, endpoint);
    }
  }

  tcp::Link* find(NodeId peer) {
    if (service_ == nullptr) return nullptr;
    const auto found = service_->links.find(peer);
    return found == service_->links.end() ? nullptr : found->second.get();
  }

  Runtime& runtime_;
  std::unique_ptr<Service> service_;  // While started.
  Endpoint bound_;
};

}  // namespace

std::unique_ptr<Transport> make_tcp_transport(Runtime& runtime) {
  return std::make_unique<TcpTransport>(runtime);
}

}  // namespace qlab::runtime
