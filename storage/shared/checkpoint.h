#pragma once
// The checkpoint: every stream as it was at some place of the shared log, so that a start replays
// only what lies behind.
//
// The streams are written in blocks while appends go on, each as of a place of its own. Replaying
// is exact all the same, because a frame is of one stream: it counts for a stream when it lies
// behind the place of that stream's block.

#include <array>
#include <string>
#include <vector>

#include "runtime/disk.h"
#include "storage/shared/manifest.h"
#include "storage/shared/streams.h"

namespace qlab::storage::shared {

using runtime::Task;

// Which settled file stood for each bit, when a block was written; 0: none.
using SlotNumbers = std::array<std::uint64_t, settled_slots>;

struct Checkpoint {
  Position begin;                // No frame before it counts for any stream.
  std::vector<Position> blocks;  // Of each block of the table; behind the last it is `begin`.

  Position of(StreamId stream) const {
    const std::size_t block = stream.value() / StreamTable::block_streams;
    return block < blocks.size() ? blocks[block] : begin;
  }
};

// Writes a checkpoint beside the one that counts, which commit() then replaces.
class CheckpointWriter {
 public:
  CheckpointWriter(runtime::Disk& disk, std::string directory)
      : disk_(disk), directory_(std::move(directory)) {}

  // Errors of all calls: no_space, io; the writer is then only good for abandon().
  Task<Result<void>> open(Position begin, StreamId next_id);
  // The next block, as it is now. `block` may be null.
  void add(const StreamTable::Block* block, Position now, const SlotNumbers& slots);
  Task<Result<void>> flush(bool all);
  // Requires: the shared log is durable up to the last block's place.
  Task<Result<void>> commit();
  Task<void> abandon();
  std::uint64_t bytes() const { return position_; }

 private:
  runtime::Disk& disk_;
  const std::string directory_;
  std::unique_ptr<runtime::File> file_;
  std::unique_ptr<runtime::IoBuffer> out_;  // What is being written.
  Bytes buffer_;                            // Behind it.
  std::uint64_t position_ = 0;
  std::uint32_t blocks_ = 0;
};

struct LoadedCheckpoint {
  Checkpoint checkpoint;
  std::vector<SlotNumbers> slots;  // By block.
};
// Puts what the checkpoint says into `streams`. Nothing when there is none.
// Errors: corrupt, io.
Task<Result<std::optional<LoadedCheckpoint>>> load_checkpoint(runtime::Disk& disk,
                                                              std::string directory,
                                                              StreamTable& streams);

}  // namespace qlab::storage::shared
