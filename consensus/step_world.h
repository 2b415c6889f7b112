#pragma once
// A group of modules with nothing below them but lists: links that hold messages until told to
// deliver, disks that hold writes until told to finish. For scripts and random walks; the driver
// and the simulator do the same with real coroutines.

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "consensus/entry_log.h"
#include "consensus/module.h"

namespace qlab::consensus {

// Carries out effects by the rules of module.h and CHECKs them: writes are numbered without a gap,
// no effect names a write that was not asked for, and a crash keeps a prefix of the writes.
class StepWorld {
 public:
  using Factory = std::function<std::unique_ptr<Module>(ModuleContext)>;
  // Hears of every step: the node, what came in, and what came out.
  using Observer = std::function<void(NodeId, const Input&, const std::vector<Effect>&)>;

  struct Options {
    Config config;
    Tuning tuning;
    std::uint64_t seed = 1;
    std::uint64_t image_bytes = 10;
  };
  struct Node {
    ReplicaKey key;
    std::unique_ptr<Module> module;  // Null while crashed.
    EntryLog log;
    WriteSeq issued;
    WriteSeq durable;
    std::deque<Effect> writes;              // Oldest first.
    std::multimap<WriteSeq, Effect> held;   // Sends and commits that wait for a write.
    std::map<NodeId, std::uint32_t> links;  // Our streams that are up.
    EntryLog disk_log;                      // What a crash leaves, image included.
    std::deque<out::ReadSnapshot> reads;    // Of the image, not answered yet.
    HardState disk_hard_state;
    std::optional<LogId> installed;  // An image that nobody was told of yet.
    LogIndex commit;                 // Released to the state machine.
    std::optional<Epoch> active;
  };

  StepWorld(Factory factory, Options options);

  void observe(Observer observer) { observer_ = std::move(observer); }
  void add(NodeId id);  // Starts a node; links it with all that are up.
  void restart(NodeId id);
  void crash(NodeId id);  // Loses unfinished writes, its links and what is on them.
  void wipe(NodeId id);   // Crashes it, and it restarts with another disk, which is empty.
  void connect(NodeId a, NodeId b);
  void disconnect(NodeId a, NodeId b);  // Loses what is on the way, in both directions.

  void step(NodeId id, const Input& input);
  void fire_timer(NodeId id);  // Moves the clock to the node's deadline if that lies ahead.
  // Fires every timer that comes due, in order; with `settling`, all is quiet before each.
  void advance(Duration duration, bool settling = false);
  void pause(Duration duration) { now_ += duration; }  // Nobody runs, not even to fire a timer.
  void write(NodeId id, std::size_t count);            // Finishes the oldest `count` writes.
  // Makes an image of what is committed, and forgets the log before the last `keep` entries of it.
  // An image is `image_bytes` of nothing in particular.
  void take_snapshot(NodeId id, std::uint64_t keep);
  bool deliver(NodeId from, NodeId to);  // The oldest message; false: there is none.
  bool drop(NodeId from, NodeId to);     // Loses the oldest message: not what a FIFO link does.
  bool settle(std::size_t rounds_max = 1000);  // Writes and delivers until all is quiet.

  bool is_up(NodeId id) const { return nodes_.at(id).module != nullptr; }
  const std::map<NodeId, Node>& nodes() const { return nodes_; }
  std::size_t queued(NodeId from, NodeId to) const;
  Time now() const { return now_; }
  const Options& options() const { return options_; }

 private:
  struct OnTheWay {
    std::shared_ptr<const Message> message;
    std::uint32_t link;
  };
  void start(NodeId id);
  void carry_out(NodeId id, const Effect& effect);
  void hold(Node& node, WriteSeq after, const Effect& effect);
  void release(NodeId id, const Effect& effect);
  void apply_to_disk(Node& node, const Effect& write);
  void answer_reads(NodeId id);
  static Config config_of(const Node& node, LogIndex at, const Config& otherwise);

  Factory factory_;
  Options options_;
  Observer observer_;
  Prng random_;
  Time now_;
  std::uint32_t links_made_ = 0;
  std::map<NodeId, Node> nodes_;
  std::map<std::pair<NodeId, NodeId>, std::deque<OnTheWay>> queues_;
};

}  // namespace qlab::consensus
