#pragma once
// Messages between simulated nodes: a link per direction, first in, first out, with epochs.

#include <map>
#include <memory>
#include <vector>

#include "runtime/transport.h"

namespace qlab::runtime {

class Fabric;
class Link;
class SimulatedNode;

class SimulatedTransport final : public Transport {
 public:
  SimulatedTransport(SimulatedNode& node, Fabric& fabric) : node_(node), fabric_(fabric) {}

  // Errors: also invalid, when it runs already.
  Task<Result<void>> start(TransportIdentity identity, TransportHandler& handler,
                           CallHandler calls) override;
  Task<void> stop() override;
  Endpoint bound() const override { return bound_; }
  bool send(NodeId to, Channel channel, Bytes payload) override;
  void close_link(NodeId peer) override;

  // What a tool's call is answered with. Runs on this node; errors: closed, when it has not
  // started.
  Task<Result<std::string>> call(std::string method, std::string request);

  bool is_linked(NodeId peer) const;
  // For the node: the end of a life.
  void crash();

 private:
  friend class Link;
  struct Peer {
    Endpoint endpoint;
    std::shared_ptr<Link> link;     // Null while it is down.
    LinkEpoch epoch;                // Of our last link to it; 0: none yet.
    LinkEpoch incoming;             // Counts its links to us.
    Time not_before = Time::min();  // When the last of an older link arrives.
  };

  bool is_running() const { return handler_ != nullptr; }
  void connect_later(NodeId peer, Duration delay);
  void connect(NodeId peer);
  // The peer has opened a link to us. Returns its number.
  LinkEpoch accept(NodeId peer, const Endpoint& from, const std::shared_ptr<Link>& link);
  void link_broke(const Link& link);
  void receive(NodeId from, LinkEpoch link, Channel channel, Bytes payload);
  void reset();

  SimulatedNode& node_;
  Fabric& fabric_;
  TransportHandler* handler_ = nullptr;  // Null while it does not run.
  CallHandler calls_;
  TransportIdentity identity_;
  Endpoint bound_;
  std::uint64_t run_ = 0;  // Counts starts and stops: what belongs to an older run is dropped.
  std::map<NodeId, Peer> peers_;
  std::vector<std::weak_ptr<Link>> incoming_;
};

}  // namespace qlab::runtime
