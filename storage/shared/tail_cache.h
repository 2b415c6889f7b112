#pragma once
// What was written last to the shared log, for readers that are caught up and for settling.

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "common/bytes.h"
#include "storage/shared/frame.h"

namespace qlab::storage::shared {

// Thread: one shard.
class TailCache {
 public:
  using Chunk = std::shared_ptr<Bytes>;

  explicit TailCache(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}

  // Requires: `at` lies behind all that was added before; the bytes do not change any more.
  void add(Position at, Chunk chunk);
  // An empty buffer, one that was used before if there is one: fresh memory costs page faults.
  Chunk make_buffer();
  // The bytes of [at, at + count) while `chunk` is held; nothing unless one chunk has them all.
  struct View {
    Chunk chunk;
    ByteView bytes;
  };
  std::optional<View> find(Position at, std::size_t count) const;
  void clear();

 private:
  struct Entry {
    Position at;
    Chunk chunk;
  };
  const std::uint64_t bytes_max_;
  std::uint64_t bytes_ = 0;
  std::deque<Entry> entries_;  // By position.
  std::vector<Chunk> spare_;   // At most spare_max.
};

}  // namespace qlab::storage::shared
