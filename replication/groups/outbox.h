#pragma once
// What the groups of a shard have to say to another broker, many in one message: what one turn of
// the shard brings goes together, and heartbeats wait for each other.
//
// Message: items (topic:u64,u64 partition:i32 kind:u8 length:u32 body)*, in network order.
// Order is kept: a heartbeat that waits leaves before anything that was said after it.
//
// Thread: the shard's.

#include <functional>
#include <map>

#include "common/bytes.h"
#include "replication/groups/group_id.h"
#include "runtime/async.h"

namespace qlab::replication {

struct GroupItem {
  enum class Kind : std::uint8_t {
    consensus = 1,        // A message of the group's module (consensus/message.h).
    records_request = 2,  // from:i64 end:i64: a replica that lags wants the records between.
    records = 3,          // The answer (consensus_replicator.h).
  };
  GroupId group;
  Kind kind = Kind::consensus;
  Bytes body;
};

// Errors: corrupt; items before the damage are lost with the rest.
Result<std::vector<GroupItem>> decode_items(ByteView message);

class Outbox {
 public:
  using Send = std::function<void(NodeId to, Bytes message)>;
  // A message that grows beyond it leaves at once.
  static constexpr std::size_t message_bytes_max = 1u << 20;

  Outbox(runtime::Runtime& runtime, Send send) : runtime_(runtime), send_(std::move(send)) {}
  ~Outbox() { stop(); }

  void put(NodeId to, const GroupItem& item, bool can_wait);
  // What waits leaves.
  void flush();
  // What is for a peer whose stream has ended goes with it.
  void drop(NodeId peer) { waiting_.erase(peer); }
  void stop();

  std::uint64_t messages_sent() const { return messages_sent_; }
  std::uint64_t items_sent() const { return items_sent_; }

 private:
  struct Waiting {
    BytesWriter message;
    std::uint64_t items = 0;
    bool is_urgent = false;
  };
  void flush(NodeId to, Waiting& waiting);
  void flush_urgent();

  runtime::Runtime& runtime_;
  const Send send_;
  std::map<NodeId, Waiting> waiting_;
  runtime::TimerId turn_;  // The end of this turn.
  std::uint64_t messages_sent_ = 0;
  std::uint64_t items_sent_ = 0;
};

}  // namespace qlab::replication
