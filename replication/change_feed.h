#pragma once
// Which of many partitions have changed since they were last looked at: idle ones cost nothing.
//
// The owner numbers its partitions (slots). A change of a partition marks its slot, once, until the
// slot is looked at again; the owner takes the marked slots one by one, the longest marked first.
//
// Thread: the home shard, but for what Part says.

#include <deque>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "replication/replicator.h"
#include "runtime/async.h"

namespace qlab::replication {

class ChangeFeed {
 public:
  using Slot = std::uint32_t;
  class Part;

  // Requires: `shards` outlive it; the first is the home shard. Nobody waits when it is destroyed.
  explicit ChangeFeed(std::vector<runtime::Runtime*> shards);
  ~ChangeFeed();
  ChangeFeed(const ChangeFeed&) = delete;
  ChangeFeed& operator=(const ChangeFeed&) = delete;

  void mark(Slot slot);
  // The same, to be taken next unless it is marked already.
  void mark_first(Slot slot);
  bool is_empty() const;
  std::optional<Slot> next();
  // Returns when a slot is marked, at wake(), or at `due`.
  Task<void> wait_until(Time due);
  void wake();

  // Where to listen to a slot's partition, which lives on that shard. Valid as long as this.
  Part& part(Slot slot, std::size_t shard);
  // Changes of its partition mark it no more, but for one that is on its way.
  void forget(Slot slot);

 private:
  struct Marks;
  std::vector<runtime::Runtime*> shards_;
  std::shared_ptr<Marks> marks_;
  std::vector<std::shared_ptr<Part>> parts_;          // By shard; made when first needed.
  std::vector<std::optional<std::size_t>> shard_of_;  // By slot: who listens.
};

// What listens on one shard. Thread: that shard; made at home.
class ChangeFeed::Part : public std::enable_shared_from_this<ChangeFeed::Part> {
 public:
  Part(runtime::Runtime& home, runtime::Runtime& shard, std::weak_ptr<Marks> marks);

  // From here on the next change marks the slot. Call it before the look that this is for.
  void look(Slot slot, Replicator& replica);
  void forget(Slot slot) { ears_.erase(slot); }

 private:
  struct Ear final : ChangeListener {
    Ear(Part& owner, Slot number) : part(owner), slot(number) {}
    void on_change() override;
    Part& part;
    const Slot slot;
    bool is_told = false;  // Of a change since the last look.
  };
  void tell(Slot slot);
  void flush();

  runtime::Runtime& home_;
  runtime::Runtime& shard_;
  std::weak_ptr<Marks> marks_;
  std::unordered_map<Slot, Ear> ears_;
  std::vector<Slot> told_;  // Not on their way home yet.
};

}  // namespace qlab::replication
