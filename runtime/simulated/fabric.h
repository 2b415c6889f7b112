#pragma once
// The wires between simulated nodes: who reaches whom, how long it takes, and what breaks.
//
// Everything that travels does so through a Pipe, which keeps its order. A partition blocks one
// direction between two nodes: bytes wait there, as they do in TCP, and go on when it heals; what
// is blocked for link_silence_max breaks. A break loses a suffix of what is on its way.

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/bytes.h"
#include "runtime/network.h"
#include "runtime/simulated/event_queue.h"
#include "runtime/simulated/journal.h"
#include "runtime/simulated/options.h"

namespace qlab::runtime {

class Fabric;
class SimulatedListener;
class SimulatedNode;
class SimulatedTransport;

// One direction between two nodes: first in, first out, each item after a drawn delay.
class Pipe : public std::enable_shared_from_this<Pipe> {
 public:
  struct Receiver {
    std::function<void(std::uint8_t tag, Bytes bytes)> arrived;
    std::function<void()> ended;  // Once, after the last that arrives.
  };

  // Nothing arrives before `not_before`, which lets a pipe follow an older one.
  Pipe(Fabric& fabric, NodeId from, NodeId to, Receiver receiver, Time not_before = Time::min());

  // No effect once it was finished or broken off.
  void send(std::uint8_t tag, Bytes bytes);
  void finish();     // The end follows what was sent.
  void cut();        // Loses a drawn suffix of what is on its way; nothing more is taken.
  void break_off();  // cut(), and the end follows.
  void pump();       // Lets arrive what is due and not blocked.
  Time last_arrival() const { return last_arrival_; }

 private:
  struct Item {
    Time due;
    std::uint8_t tag = 0;
    Bytes bytes;
    bool is_end = false;
  };
  void push(Item item);

  Fabric& fabric_;
  NodeId from_;
  NodeId to_;
  Receiver receiver_;
  Time last_arrival_;
  std::deque<Item> items_;  // By due time, which never falls.
  bool closed_ = false;     // Takes nothing more.
  bool broken_ = false;     // Does not wait for a partition to heal.
};

// What a crash, a partition or a break ends: a connection or a link between two nodes.
class Circuit {
 public:
  Circuit(NodeId a, NodeId b) : a_(a), b_(b) {}
  virtual ~Circuit() = default;
  virtual void break_off() = 0;           // No effect the second time.
  virtual void cut_from(NodeId end) = 0;  // That end died: what it has sent loses a suffix.
  virtual void pump() = 0;

  bool touches(NodeId node) const { return a_ == node || b_ == node; }
  NodeId other(NodeId node) const { return a_ == node ? b_ : a_; }

 private:
  NodeId a_;
  NodeId b_;
};

class Fabric {
 public:
  Fabric(EventQueue& queue, Journal& journal, const WorldOptions& options, Prng random);

  void add(SimulatedNode& node);
  void add(const std::shared_ptr<Circuit>& circuit);
  // Null when nobody has that name; `localhost` and the like are the asker itself.
  SimulatedNode* find(std::string_view host, SimulatedNode& asker) const;

  // One direction only. Blocking twice is blocking once.
  void block(NodeId from, NodeId to);
  void unblock(NodeId from, NodeId to);
  void heal();  // Unblocks all, and ends all slowness.
  bool is_blocked(NodeId from, NodeId to) const { return blocked_.contains({from, to}); }
  bool reach_each_other(NodeId a, NodeId b) const { return !is_blocked(a, b) && !is_blocked(b, a); }
  // A slow link: every delay in that direction is longer by `extra`.
  void slow_down(NodeId from, NodeId to, Duration extra) { slow_[{from, to}] = extra; }
  // Breaks whatever connects the two.
  void break_between(NodeId a, NodeId b);

  void node_died(SimulatedNode& node, bool silent);
  void node_boots(NodeId node);  // Its old circuits are reset.

  // Ports. Port 0 takes a free one. Errors: invalid, when the host is another; exists.
  using Port = std::variant<std::monostate, SimulatedListener*, SimulatedTransport*>;
  Result<Endpoint> bind(SimulatedNode& node, const Endpoint& wanted, Port port);
  void unbind(const Endpoint& endpoint) { ports_.erase(endpoint); }
  // Who listens there, by the host's own name.
  Port at(const Endpoint& endpoint) const;

  Duration delay(NodeId from, NodeId to);
  EventQueue& queue() { return queue_; }
  Journal& journal() { return journal_; }
  Prng& random() { return random_; }
  const WorldOptions& options() const { return options_; }

 private:
  std::vector<std::shared_ptr<Circuit>> circuits();  // Those that are alive, oldest first.
  void break_later(const std::weak_ptr<Circuit>& circuit, Duration delay);

  EventQueue& queue_;
  Journal& journal_;
  const WorldOptions& options_;
  Prng random_;
  std::map<std::string, SimulatedNode*, std::less<>> hosts_;
  std::map<std::pair<NodeId, NodeId>, std::uint64_t> blocked_;  // To the number of the block.
  std::uint64_t last_block_ = 0;
  std::map<std::pair<NodeId, NodeId>, Duration> slow_;
  std::map<Endpoint, Port> ports_;
  std::vector<std::weak_ptr<Circuit>> circuits_;
};

}  // namespace qlab::runtime
