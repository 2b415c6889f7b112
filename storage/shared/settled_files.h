#pragma once
// The settled files of a store, each at its slot, and lookups over all of them.

#include <array>
#include <vector>

#include "storage/shared/checkpoint.h"
#include "storage/shared/settled_file.h"

namespace qlab::storage::shared {

// Batches of one stream that follow one another in one file.
struct SettledRun {
  SettledFilePtr file;
  std::vector<SettledBatch> batches;

  Offset base() const { return batches.front().base; }
};

// Thread: one shard.
class SettledFiles {
 public:
  explicit SettledFiles(Engine& engine) : engine_(engine), footers_(footer_blocks_max) {}

  // Null when the slot is free.
  const SettledFilePtr& at(std::size_t slot) const { return slots_[slot]; }
  std::optional<std::uint8_t> free_slot() const;
  // Few slots are free: files are merged, which takes one, before others are begun.
  bool is_crowded() const;
  void put(SettledFilePtr file);
  // Gives up a file that no stream has a bit of; it is deleted when nobody reads it.
  void retire(std::size_t slot);
  // Deletes what was retired and is not read any more. Errors: io.
  Task<Result<void>> reap();
  Task<Result<void>> close();

  std::vector<SettledFilePtr> all() const;  // By number.
  std::vector<SettledFileEntry> entries() const;
  SlotNumbers numbers() const;
  std::size_t open_files() const { return all().size() + retired_.size(); }
  FooterCache& footers() { return footers_; }

  // The run of at most `count` batches that begins with the first one which ends beyond `offset`
  // and counts; nothing when no file has any. `stream` is a copy: the stream may change meanwhile,
  // and the caller looks whether its bits did. Errors: corrupt; io.
  struct Question {
    StreamId id;
    std::uint64_t files = 0;
    std::vector<Cut> cuts;
  };
  static Question question(StreamId id, const Stream& stream) {
    return {id, stream.files, stream.cuts};
  }
  Task<Result<std::optional<SettledRun>>> find(Question stream, Offset offset, std::size_t count);
  // The batches of a run, checked. Errors: corrupt, naming file and position; io.
  Task<Result<Bytes>> read(SettledRun run);

 private:
  static constexpr std::size_t footer_blocks_max = 8192;  // About 45 MiB.

  Engine& engine_;
  std::array<SettledFilePtr, settled_slots> slots_;
  std::vector<SettledFilePtr> retired_;
  FooterCache footers_;
};

// Walks the batches of one file from front to back.
class SettledCursor {
 public:
  explicit SettledCursor(SettledFilePtr file) : file_(std::move(file)), unused_(0) {}

  // Null at the end. Errors: corrupt; io.
  Task<Result<const SettledBatch*>> next();
  // The bytes of the batch that next() gave last; good until the next call of either.
  Task<Result<ByteView>> bytes();
  const SettledFilePtr& file() const { return file_; }

 private:
  const SettledFilePtr file_;
  FooterCache unused_;  // A walk would only wash the common one out.
  FooterCache::BlockPtr block_;
  std::size_t blocks_read_ = 0;
  std::size_t at_ = 0;  // In the block, of the next one.
  Bytes window_;
  std::uint64_t window_at_ = 0;
};

}  // namespace qlab::storage::shared
