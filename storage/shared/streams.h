#pragma once
// The streams of a store: what is known of each partition's log, in one dense table.
//
// A million of them must fit, so an idle stream is one entry of about 200 bytes and owns nothing
// else. All that changes a stream is one of the functions below, called when a frame of the shared
// log is written and again when it is replayed.

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/unordered/unordered_flat_set.hpp>

#include "storage/epoch_cache.h"
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

// What every append touches comes last, together.
struct Stream {
  std::string name;
  TopicId topic;
  Offset start;
  std::uint64_t files = 0;      // A bit per slot whose settled file may hold batches.
  std::vector<Cut> cuts;        // Later ones reach more files.
  Offset clean_end;             // Compaction has seen everything below.
  std::uint32_t cut_count = 0;  // Of truncations and resets since the start.

  LeaderEpoch assigned_epoch{-1};  // As assigned_end.
  EpochCache epochs;
  std::vector<UnsettledBatch> unsettled;  // By offset, and so by position.
  std::uint64_t size_bytes = 0;           // Of its batches, settled or not.
  Offset end;                             // One past the last record whose frame is written.
  Offset durable_end;                     // start <= durable_end <= end
  Offset assigned_end;                    // >= end: with the frames that wait to be written.
  bool is_logged = false;                 // A create frame is written or waits.
  bool is_created = false;                // It is written.
  bool is_busy = false;                   // It is being cut: appends wait.

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
std::vector<UnsettledBatch>::const_iterator find_unsettled(const Stream& stream, Offset offset);

class StreamTable {
 public:
  static constexpr std::size_t block_streams = 256;
  using Block = std::array<std::optional<Stream>, block_streams>;

  StreamTable() : ids_(0, NameHash{this}, NameEqual{this}) {}
  StreamTable(const StreamTable&) = delete;

  // Null when there is none. The pointer is good until that stream is erased.
  Stream* find(StreamId id);
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
    return *(*blocks_[id / block_streams])[id % block_streams];
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

  std::vector<std::unique_ptr<Block>> blocks_;
  std::vector<std::uint16_t> used_;  // Streams per block.
  boost::unordered_flat_set<std::uint32_t, NameHash, NameEqual> ids_;
  StreamId next_id_{1};
};

}  // namespace qlab::storage::shared
