#pragma once
// A settled file: batches sorted by stream and offset, and a footer that says where they are.
//
// The footer is blocks of 128 entries, each with a checksum, and an index with the first entry of
// every block. The index stays in memory; blocks are read when they are asked for and a bounded
// number is kept. What the file is, its length and where its footer begins, the manifest says.
//
// Layout in docs/formats.md.

#include <list>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "storage/engine.h"
#include "storage/shared/manifest.h"
#include "storage/shared/streams.h"

namespace qlab::storage::shared {

struct SettledBatch {
  StreamId stream;
  Offset base;
  std::int32_t last_offset_delta = 0;
  std::uint32_t bytes = 0;
  std::int64_t max_timestamp = -1;
  std::uint64_t position = 0;  // In the file.

  Offset next() const { return base.plus(last_offset_delta).next(); }
};
using FooterBlock = std::vector<SettledBatch>;

std::string settled_path(std::string_view directory, std::uint64_t number);
// Nothing when `name` is no settled file.
std::optional<std::uint64_t> settled_number(std::string_view name);

// Footer blocks of all files that were asked for last.
class FooterCache {
 public:
  explicit FooterCache(std::size_t blocks_max) : blocks_max_(blocks_max) {}
  using BlockPtr = std::shared_ptr<const FooterBlock>;

  BlockPtr find(std::uint64_t file, std::size_t block);
  void add(std::uint64_t file, std::size_t block, BlockPtr entries);

 private:
  struct Place {
    std::uint64_t key;
    BlockPtr entries;
  };
  const std::size_t blocks_max_;
  std::list<Place> used_;  // The latest first.
  std::unordered_map<std::uint64_t, std::list<Place>::iterator> places_;
};

class SettledFile {
 public:
  // Opens a file that the manifest names. Errors: corrupt, naming it; io.
  static Task<Result<std::shared_ptr<SettledFile>>> open(Engine& engine, std::string directory,
                                                         SettledFileEntry entry);

  // Use writer's segment and index; see SettledWriter::finish().
  SettledFile(std::unique_ptr<Segment> data, std::string path, SettledFileEntry entry,
              std::vector<std::pair<StreamId, Offset>> index);

  const SettledFileEntry& entry() const { return entry_; }
  std::uint64_t number() const { return entry_.number; }
  const std::string& path() const { return path_; }
  Segment& data() { return *data_; }
  std::size_t blocks() const { return index_.size(); }

  // Errors: corrupt, naming file and position; io.
  Task<Result<FooterCache::BlockPtr>> block(std::size_t index, FooterCache& cache);
  // Up to `count` batches of the stream in a row, from the first one that ends beyond `offset`.
  Task<Result<std::vector<SettledBatch>>> find(StreamId stream, Offset offset, std::size_t count,
                                               FooterCache& cache);

 private:
  const std::unique_ptr<Segment> data_;
  const std::string path_;
  const SettledFileEntry entry_;
  const std::vector<std::pair<StreamId, Offset>> index_;  // The first entry of each block.
};
using SettledFilePtr = std::shared_ptr<SettledFile>;

// Writes one. Either finish() or abandon() ends it.
class SettledWriter {
 public:
  SettledWriter(std::unique_ptr<Segment> data, std::string path, std::uint64_t number)
      : data_(std::move(data)), path_(std::move(path)), number_(number) {}

  // Requires: sorted by stream and offset. `batch.position` is set here.
  void add(SettledBatch batch, ByteView bytes);
  // True when flush() is due, before more is added.
  bool is_full() const;
  Task<Result<void>> flush();
  bool is_empty() const { return entries_ == 0; }
  std::uint64_t number() const { return number_; }
  std::uint64_t data_bytes() const { return position_; }  // Of the batches added.
  // Durability: all of it. Errors: no_space, io.
  Task<Result<SettledFilePtr>> finish(std::uint8_t slot);
  Task<void> abandon(Engine& engine);

 private:
  void end_block();

  std::unique_ptr<Segment> data_;
  const std::string path_;
  const std::uint64_t number_;
  Bytes buffer_;                // Of the data, not written yet.
  std::uint64_t position_ = 0;  // Where the next batch goes.
  std::uint64_t entries_ = 0;
  BytesWriter block_;  // The footer block that is being filled.
  Bytes footer_;
  std::vector<std::pair<StreamId, Offset>> index_;
};

}  // namespace qlab::storage::shared
