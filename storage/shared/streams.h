#pragma once
// The streams of a store: what is known of each partition's log, in one dense table.
//
// A million of them must fit, so an idle stream is one entry of 256 bytes and owns nothing else.
// All that changes a stream is one of the functions below, called when a frame of the shared log is
// written and again when it is replayed.

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/container/small_vector.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

#include "storage/epoch_cache.h"
#include "storage/shared/block_pool.h"
#include "storage/shared/frame.h"

namespace qlab::storage::shared {

// A batch that lies in the shared log and in no settled file.
struct UnsettledBatch {
  Offset base;
  std::int64_t max_timestamp = -1;
  Position at;  // Of the batch, behind its frame's header.
  std::uint32_t bytes = 0;
  std::int32_t last_offset_delta = 0;

  Offset next() const { return base.plus(last_offset_delta).next(); }
};

// Of the settled files up to `file`, what begins at `from` or later does not count any more.
struct Cut {
  Offset from;
  std::uint64_t file = 0;
};

// Most streams have a batch or none there, and so need no memory elsewhere for it.
using UnsettledBatches = boost::container::small_vector<UnsettledBatch, 1>;

// What every append touches comes first, on as few lines of the cache as it takes: of a million
// streams none is in the cache when its turn comes.
struct alignas(64) Stream {
  bool is_there = false;           // In the table.
  bool is_logged = false;          // A create frame is written or waits.
  bool is_created = false;         // It is written.
  bool is_busy = false;            // It is being cut: appends wait.
  LeaderEpoch assigned_epoch{-1};  // As assigned_end.
  Offset assigned_end;             // >= end: with the frames that wait to be written.
  Offset end;                      // One past the last record whose frame is written.
  Offset durable_end;              // start <= durable_end <= end
  std::uint64_t size_bytes = 0;    // Of its batches, settled or not.
  Offset start;
  std::uint64_t files = 0;     // A bit per slot whose settled file may hold batches.
  UnsettledBatches unsettled;  // By offset, and so by position.
  EpochCache epochs;

  std::vector<Cut> cuts;        // Later ones reach more files.
  Offset clean_end;             // Compaction has seen everything below.
  std::uint32_t cut_count = 0;  // Of truncations and resets since the start.
  TopicId topic;
  std::string name;

  // Of settled file number `file`, what begins here or later does not count any more.
  Offset cut_of(std::uint64_t file) const;
};

// A batch was appended. With `is_settled` it lies in a settled file already.
void note_append(Stream& stream, const UnsettledBatch& batch, LeaderEpoch epoch, bool is_settled);
// A frame that holds a truncation. Requires: `kind` is one of those.
void note_change(Stream& stream, FrameKind kind, const Truncation& truncation);
// The same, of what it says of unsettled batches only.
void forget_unsettled(Stream& stream, FrameKind kind, Offset offset);
// Of the batch in the frame at `frame`.
UnsettledBatch unsettled_batch(const BatchHeader& header, Position frame);
// The first batch that ends beyond `offset`; unsettled.end() when there is none.
UnsettledBatches::const_iterator find_unsettled(const Stream& stream, Offset offset);

static_assert(sizeof(Stream) == 256);  // So that blocks of them fill huge pages.

// Who walks over many streams fetches them so many ahead.
inline constexpr std::size_t prefetch_distance = 8;

class StreamTable {
 public:
  static constexpr std::size_t block_streams = 256;
  using Block = std::array<Stream, block_streams>;

  StreamTable() : ids_(0, NameHash{this}, NameEqual{this}) {}
  StreamTable(const StreamTable&) = delete;

  // Null when there is none. The pointer is good until that stream is erased.
  Stream* find(StreamId id);
  // Has the cache fetch what an append touches of it, while the caller does something else.
  void prefetch(StreamId id) const;
  std::optional<StreamId> find(std::string_view name) const;
  // Requires: no stream has that id or that name.
  Stream& add(StreamId id, std::string name, TopicId topic);
  void erase(StreamId id);
  // That stream is found by its id alone from here on. Requires: it is there.
  void forget_name(StreamId id);
  StreamId next_id() const { return next_id_; }
  // Ids below `id` are not given out any more.
  void reserve_ids_below(StreamId id) { next_id_ = std::max(next_id_, id); }
  std::size_t size() const { return ids_.size(); }

  // Blocks of neighbouring ids; null where all streams are gone.
  std::size_t blocks() const { return blocks_.size(); }
  Block* block(std::size_t index) { return blocks_[index].get(); }
  static StreamId first_of(std::size_t block) {
    return StreamId{static_cast<std::uint32_t>(block * block_streams)};
  }

 private:
  const Stream& at(std::uint32_t id) const {
    return (*blocks_[id / block_streams])[id % block_streams];
  }
  struct NameHash {
    using is_transparent = void;
    const StreamTable* table;
    std::size_t operator()(std::string_view name) const {
      return std::hash<std::string_view>{}(name);
    }
    std::size_t operator()(std::uint32_t id) const { return (*this)(table->at(id).name); }
  };
  struct NameEqual {
    using is_transparent = void;
    const StreamTable* table;
    bool operator()(std::uint32_t a, std::uint32_t b) const { return a == b; }
    bool operator()(std::string_view name, std::uint32_t id) const {
      return table->at(id).name == name;
    }
    bool operator()(std::uint32_t id, std::string_view name) const { return (*this)(name, id); }
  };

  struct Return {
    BlockPool* pool;
    void operator()(Block* block) const;
  };

  BlockPool pool_{sizeof(Block)};
  std::vector<std::unique_ptr<Block, Return>> blocks_;
  std::vector<std::uint16_t> used_;  // Streams per block.
  boost::unordered_flat_set<std::uint32_t, NameHash, NameEqual> ids_;
  StreamId next_id_{1};
};

}  // namespace qlab::storage::shared
