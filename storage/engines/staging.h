#pragma once
// Bytes on their way to the disk past the page cache: what was appended and is not durable yet, in
// aligned memory, cut into writes of whole blocks.
//
// A run is what one write carries. Once it is sent its memory does not change any more, so what is
// appended next goes to a new run; when the sent one ends within a block, the new run begins with a
// copy of that block's bytes and writes the block again. Two writes of one block are never in
// flight together, or the older could land last. Runs that share no block go side by side, and what
// is durable is the prefix of those that have landed.
//
// No I/O happens here; direct_segment.h does that.
// Source: Redpanda's segment_appender for the rewritten tail; TigerBeetle and AutoMQ for the
// completed prefix.

#include <deque>
#include <list>
#include <memory>
#include <vector>

#include "runtime/disk.h"

namespace qlab::storage {

// The buffers of an engine's segments. They come back when nobody uses them, and some are kept:
// memory that was just used is cheaper than new.
//
// Thread: one shard. Cost: what is taken stays below pressed_bytes, but for what the segments need
// while those that were pressed write theirs out.
class StagingPool : public std::enable_shared_from_this<StagingPool> {
 public:
  static constexpr std::size_t small_bytes = 64u << 10;
  static constexpr std::size_t large_bytes = 1u << 20;
  static constexpr std::size_t kept_bytes_max = 16u << 20;
  static constexpr std::size_t pressed_bytes = 64u << 20;

  using Buffer = std::shared_ptr<runtime::IoBuffer>;

  // Who holds buffers and can be asked to write out what is in them.
  class Holder {
   public:
    virtual void write_out() = 0;

   protected:
    ~Holder() = default;
  };

  explicit StagingPool(runtime::Disk& disk) : disk_(disk) {}

  // A small or a large buffer. Beyond pressed_bytes the holder that began first is asked to write
  // out. Errors: no_space.
  Result<Buffer> take(bool large);

  using Holding = std::list<Holder*>::iterator;
  Holding begin_holding(Holder& holder) { return holders_.insert(holders_.end(), &holder); }
  void end_holding(Holding holding) { holders_.erase(holding); }

  std::size_t taken_bytes() const { return taken_bytes_; }

 private:
  void give_back(std::unique_ptr<runtime::IoBuffer> buffer);

  runtime::Disk& disk_;
  std::vector<std::unique_ptr<runtime::IoBuffer>> small_;  // Kept.
  std::vector<std::unique_ptr<runtime::IoBuffer>> large_;
  std::size_t kept_bytes_ = 0;
  std::size_t taken_bytes_ = 0;
  std::list<Holder*> holders_;  // The one that has held for longest, or was pressed last, first.
};

// What one write carries: [first, end) of the file, rounded up to whole blocks.
struct Run {
  enum class State : std::uint8_t {
    filling,  // Takes more bytes; the last run only.
    closed,   // To be sent as it is.
    sent,
    landed,  // Durable.
  };

  // The blocks to write; what is behind the end is zeros.
  ByteView blocks();

  StagingPool::Buffer memory;
  std::byte* data = nullptr;  // Of the byte at `first`.
  std::uint64_t first = 0;    // A block boundary.
  std::uint64_t from = 0;     // The first byte that no earlier write carries; first <= from.
  std::uint64_t end = 0;      // from < end <= first + room
  std::size_t room = 0;
  State state = State::filling;
};

// Thread: one shard.
class Staging {
 public:
  static constexpr std::uint64_t block_bytes = runtime::direct_alignment;
  // While a write is in flight the next one gathers at least this much before it is sent beside it:
  // few large writes serve a crowd better than many small ones.
  static constexpr std::uint64_t gathered_bytes_min = 128u << 10;

  using RunPtr = std::shared_ptr<Run>;

  // What comes next lies at `end`. Unless that is a block boundary begin() has to come first.
  Staging(std::shared_ptr<StagingPool> pool, std::uint64_t end)
      : pool_(std::move(pool)), end_(end) {}

  // Nothing is staged, and what comes next lies at `end`. `tail` is what the file has of the block
  // that `end` lies in. Requires: tail.size() == end % block_bytes.
  void begin(std::uint64_t end, ByteView tail);

  // Copies. Errors: no_space, for the memory; then a part of it may be staged: see truncate().
  Result<void> append(ByteView bytes);

  // A run was filled by the last append, or before, and waits to be sent.
  bool has_full() const;
  // The next run that may be sent, in the state `sent`; null when there is none. `wanted`: what a
  // sync waits for lies below it.
  RunPtr next_due(std::uint64_t wanted);
  void land(Run& run);
  // It is to be sent again.
  void take_back(Run& run);

  // Drops what is staged from `end` on. Returns false when the bytes before `end` in its block are
  // not in memory: then begin() comes next. Requires: nothing is sent and has not landed.
  bool truncate(std::uint64_t end);

  // Copies bytes from `position` on. Requires: landed() <= position, and all of it is staged.
  void read(std::uint64_t position, std::span<std::byte> into) const;

  std::uint64_t end() const { return end_; }
  // All before it has landed.
  std::uint64_t landed() const { return runs_.empty() ? end_ : runs_.front()->from; }
  std::uint64_t staged_bytes() const { return end_ - landed(); }
  std::size_t in_flight() const { return in_flight_; }

 private:
  Result<void> open_run(std::size_t bytes);
  void close_run(Run& run);
  void split(std::size_t index);
  bool is_due(const Run& run, std::uint64_t wanted) const;
  bool first_block_is_busy(std::size_t index) const;
  void drop_landed();

  std::shared_ptr<StagingPool> pool_;
  std::uint64_t end_;
  std::deque<RunPtr> runs_;  // In order, without gaps; the first one has not landed.
  Bytes tail_;               // While there are no runs: what the file has of the block of end_.
  std::size_t in_flight_ = 0;

  StagingPool::Buffer buffer_;   // Where the last run lies; null when nothing is staged.
  std::size_t used_ = 0;         // Of buffer_, up to where the next run may begin.
  std::uint64_t last_sent_ = 0;  // Bytes of the run sent last: how busy it is.
};

}  // namespace qlab::storage
