#pragma once
// Where Disk::make_buffer and the reads of IoPath::direct get their memory: huge pages, registered
// with the ring as a whole, cut into buffers and used again.
//
// One huge page is one segment of a disk's request, where scattered pages of 4 KiB are hundreds: on
// a virtual disk that makes a read of 1 MiB more than twice as fast. Memory that is used again is
// memory that is there: the first touch of fresh pages can cost more than the read.

#include <cstddef>
#include <map>
#include <memory>
#include <vector>

#include "runtime/disk.h"
#include "runtime/real/ring_tables.h"

namespace qlab::runtime {

// Thread: the shard's; a buffer may end on another one when the shard's has ended.
class BufferArena {
 public:
  static constexpr std::size_t chunk_bytes = 2u << 20;  // A huge page.
  // Chunks without a buffer that are kept; more go with the next make().
  static constexpr std::size_t idle_chunks_max = 8;

  // Without tables, or when they take no more, it is aligned memory that nobody has registered.
  // Requires: `size` is a multiple of direct_alignment and not 0. Errors: no_space.
  Result<std::unique_ptr<IoBuffer>> make(std::size_t size,
                                         const std::shared_ptr<RingTables>& tables);
  std::size_t chunks() const { return chunks_.size(); }

 private:
  class Chunk;
  class Buffer;

  void drop_idle();

  std::vector<std::shared_ptr<Chunk>> chunks_;
};

}  // namespace qlab::runtime
