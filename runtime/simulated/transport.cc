#include "runtime/simulated/transport.h"

#include "common/check.h"
#include "runtime/simulated/fabric.h"
#include "runtime/simulated/node.h"

namespace qlab::runtime {

// One stream of messages to a peer, from its opening to its end.
class Link final : public Circuit, public std::enable_shared_from_this<Link> {
 public:
  Link(SimulatedNode& from, SimulatedNode& to, LinkEpoch epoch)
      : Circuit(from.id(), to.id()),
        from_(from),
        to_(to),
        epoch_(epoch),
        run_(from.transport().run_) {}

  void open(Fabric& fabric, LinkEpoch incoming, Time not_before) {
    pipe_ = std::make_shared<Pipe>(
        fabric, from_.id(), to_.id(),
        Pipe::Receiver{[weak = weak_from_this(), incoming, run = to_.transport().run_](
                           std::uint8_t tag, Bytes bytes) {
                         const auto self = weak.lock();
                         if (self) self->arrive(incoming, run, tag, std::move(bytes));
                       },
                       [] {}},
        not_before);
  }

  void break_off() override {
    if (!pipe_ || std::exchange(over_, true)) return;
    pipe_->break_off();
    from_.deliver([self = shared_from_this()] {
      SimulatedTransport& owner = self->from_.transport();
      if (self->run_ == owner.run_) owner.link_broke(*self);
    });
  }
  void cut_from(NodeId dead) override {
    if (dead == from_.id()) pipe_->cut();
  }
  void pump() override { pipe_->pump(); }

  // The sender stops in good order: what it has sent arrives.
  void finish() {
    if (!std::exchange(over_, true)) pipe_->finish();
  }

  // Lives on without its owner until what is on its way has arrived.
  void linger(EventQueue& queue) {
    queue.at(pipe_->last_arrival(), [self = shared_from_this()] {});
  }

  bool send(Channel channel, Bytes payload) {
    if (over_ || queued_bytes_ + payload.size() > Transport::peer_queue_bytes_max) return false;
    queued_bytes_ += payload.size();
    pipe_->send(static_cast<std::uint8_t>(channel), std::move(payload));
    return true;
  }

  NodeId peer() const { return to_.id(); }
  LinkEpoch epoch() const { return epoch_; }
  Time last_arrival() const { return pipe_->last_arrival(); }

 private:
  void arrive(LinkEpoch incoming, std::uint64_t run, std::uint8_t tag, Bytes bytes) {
    to_.deliver([self = shared_from_this(), incoming, run, tag,
                 bytes = std::move(bytes)]() mutable {
      self->queued_bytes_ -= bytes.size();
      if (run != self->to_.transport().run_) return;
      self->to_.transport().receive(self->from_.id(), incoming, static_cast<Channel>(tag), bytes);
    });
  }

  SimulatedNode& from_;
  SimulatedNode& to_;
  LinkEpoch epoch_;
  std::uint64_t run_;  // Of the sender's transport: a link of an older one has no owner any more.
  std::shared_ptr<Pipe> pipe_;
  bool over_ = false;
  std::size_t queued_bytes_ = 0;  // Sent, and not yet taken by the receiver's handler.
};

Task<Result<void>> SimulatedTransport::start(TransportIdentity identity, TransportHandler& handler,
                                             CallHandler calls) {
  if (is_running()) co_return fail(Errc::invalid, "the transport of {} runs already", node_.id());
  if (identity.node != node_.id()) {
    co_return fail(Errc::invalid, "node {} cannot be node {}", node_.id(), identity.node);
  }
  CO_TRY(bound_, fabric_.bind(node_, identity.listen, this));
  ++run_;
  handler_ = &handler;
  calls_ = std::move(calls);
  identity_ = std::move(identity);
  for (const auto& [peer, endpoint] : identity_.peers) {
    if (peer == node_.id()) continue;
    peers_[peer].endpoint = endpoint;
    connect_later(peer, fabric_.delay(node_.id(), peer));
  }
  co_return Result<void>{};
}

Task<void> SimulatedTransport::stop() {
  if (is_running()) {
    for (const auto& [id, peer] : peers_) {
      if (peer.link) peer.link->finish();
    }
    // Those who send to us hear that nobody is there any more.
    for (const auto& weak : incoming_) {
      const auto link = weak.lock();
      if (!link) continue;
      const Duration delay = fabric_.delay(node_.id(), link->other(node_.id()));
      fabric_.queue().after(delay, [link] { link->break_off(); });
    }
    reset();
  }
  co_return;
}

void SimulatedTransport::crash() {
  if (is_running()) reset();
}

void SimulatedTransport::reset() {
  fabric_.unbind(bound_);
  ++run_;
  handler_ = nullptr;
  calls_ = nullptr;
  for (const auto& [id, peer] : peers_) {
    if (peer.link) peer.link->linger(fabric_.queue());
  }
  peers_.clear();
  incoming_.clear();
}

bool SimulatedTransport::send(NodeId to, Channel channel, Bytes payload) {
  if (!node_.is_up()) return false;
  const auto found = peers_.find(to);
  if (found == peers_.end() || !found->second.link) return false;
  return found->second.link->send(channel, std::move(payload));
}

void SimulatedTransport::close_link(NodeId peer) {
  const auto found = peers_.find(peer);
  if (found == peers_.end() || !found->second.link) return;
  const auto link = found->second.link;  // Held, as breaking it may let go of it.
  link->break_off();
}

Task<Result<std::string>> SimulatedTransport::call(std::string method, std::string request) {
  if (!calls_) co_return fail(Errc::closed, "node {} answers no calls", node_.id());
  co_return co_await calls_(std::move(method), std::move(request));
}

bool SimulatedTransport::is_linked(NodeId peer) const {
  const auto found = peers_.find(peer);
  return found != peers_.end() && found->second.link;
}

void SimulatedTransport::connect_later(NodeId peer, Duration delay) {
  node_.deliver_after(delay, [this, run = run_, peer] {
    if (run == run_) connect(peer);
  });
}

void SimulatedTransport::connect(NodeId peer) {
  Peer& ours = peers_.at(peer);
  if (ours.link) return;
  SimulatedNode* const host = fabric_.find(ours.endpoint.host, node_);
  SimulatedTransport* target = nullptr;
  if (host != nullptr && host->id() == peer && host->is_up() && !host->is_paused() &&
      fabric_.reach_each_other(node_.id(), peer)) {
    const auto at = fabric_.at({host->host(), ours.endpoint.port});
    if (auto* const* found = std::get_if<SimulatedTransport*>(&at)) target = *found;
  }
  if (target != nullptr && target->identity_.cluster_id != identity_.cluster_id) {
    for (SimulatedNode* side : {&node_, host}) {
      side->trace().emit(
          "link_refused",
          {{"peer", side == host ? node_.id().value() : peer.value()}, {"reason", "cluster_id"}});
    }
    target = nullptr;
  }
  if (target == nullptr) {
    connect_later(peer, fabric_.options().link_retry.draw(fabric_.random()));
    return;
  }
  ours.epoch = ours.epoch.next();
  const auto link = std::make_shared<Link>(node_, *host, ours.epoch);
  link->open(fabric_, target->accept(node_.id(), bound_, link), ours.not_before);
  fabric_.add(link);
  ours.link = link;
  handler_->on_link_up(peer, ours.epoch);
}

LinkEpoch SimulatedTransport::accept(NodeId peer, const Endpoint& from,
                                     const std::shared_ptr<Link>& link) {
  std::erase_if(incoming_, [](const auto& weak) { return weak.expired(); });
  incoming_.push_back(link);
  const auto [found, is_new] = peers_.try_emplace(peer);
  if (is_new) {
    found->second.endpoint = from;
    connect_later(peer, fabric_.delay(node_.id(), peer));
  }
  found->second.incoming = found->second.incoming.next();
  return found->second.incoming;
}

void SimulatedTransport::link_broke(const Link& link) {
  const NodeId id = link.peer();
  Peer& peer = peers_.at(id);
  if (peer.link.get() != &link) return;
  peer.not_before = link.last_arrival();
  peer.link->linger(fabric_.queue());
  const LinkEpoch epoch = link.epoch();
  peer.link = nullptr;
  connect_later(id, fabric_.options().link_retry.draw(fabric_.random()));
  handler_->on_link_down(id, epoch);
}

void SimulatedTransport::receive(NodeId from, LinkEpoch link, Channel channel, Bytes payload) {
  handler_->on_message(from, link, channel, std::move(payload));
}

}  // namespace qlab::runtime
