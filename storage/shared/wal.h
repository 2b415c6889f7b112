#pragma once
// The shared log: frames of all streams, one after the other, in segments over any engine.
//
// Frames that are put while a write is under way, or within one turn of the executor, are gathered
// into the next write (group commit across partitions). One write and one sync are in flight at a
// time and may overlap each other.
//
// Thread: one shard. Nothing is written after a failed write or sync; what is durable is read.

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/async.h"
#include "storage/engine.h"
#include "storage/shared/frame.h"
#include "storage/shared/options.h"
#include "storage/shared/tail_cache.h"

namespace qlab::storage::shared {

struct WalSegment {
  std::unique_ptr<Segment> data;
  std::string path;
  std::uint32_t number = 0;
  std::uint32_t seed = 0;  // Of its checksums.
};
using WalSegmentPtr = std::shared_ptr<WalSegment>;

std::string wal_path(std::string_view directory, std::uint32_t number);
// Nothing when `name` is no segment of a shared log.
std::optional<std::uint32_t> wal_number(std::string_view name);

// Frames that are written together.
struct WalGroup {
  struct Entry {
    FrameKind kind;
    StreamId stream;
    std::uint32_t at;  // Of the frame, within the group.
    std::uint32_t bytes;
    BatchHeader batch;  // Of an append.
  };

  static constexpr std::size_t entries_expected = 128;

  WalGroup(runtime::Runtime& runtime, TailCache::Chunk buffer)
      : chunk(std::move(buffer)), bytes(*chunk), ended_event(runtime) {
    entries.reserve(entries_expected);
  }

  const TailCache::Chunk chunk;
  Bytes& bytes;
  std::vector<Entry> entries;
  Position begin;              // Once written.
  bool ended = false;          // Written or refused.
  std::optional<Error> error;  // Why it was refused.
  runtime::Event ended_event;

  Position end() const { return begin.plus(bytes.size()); }
};
using WalGroupPtr = std::shared_ptr<WalGroup>;

class WalObserver {
 public:
  virtual ~WalObserver() = default;
  virtual void on_written(const WalGroup& group) = 0;
  // Nothing of it is in the log, nor of any group that was to follow it.
  virtual void on_refused(const WalGroup& group) = 0;
  virtual void on_durable(const WalGroup& group) = 0;
  // Before a segment is begun. Waits while the log is at its largest.
  // Errors: no_space, when there is no hope for it to shrink.
  virtual Task<Result<void>> wait_for_room() = 0;
};

class Wal {
 public:
  // Requires: all outlive it.
  Wal(runtime::Runtime& runtime, Engine& engine, const SharedOptions& options,
      std::string directory, WalObserver& observer);

  // Takes what recovery found and goes on in a new segment behind it.
  void begin(std::uint64_t salt, std::uint32_t next_number, std::vector<WalSegmentPtr> segments);

  // The group that is written next, soon: frames go to its end until the caller awaits something.
  WalGroupPtr open_group();
  // Requires: `group` comes from open_group(), and nothing was awaited since.
  void put(WalGroup& group, FrameKind kind, StreamId stream, ByteView payload,
           const BatchHeader& batch = {});
  // Errors: no_space: nothing of it is in the log; io, closed.
  Task<Result<void>> wait(WalGroupPtr group);
  // Returns when all that was put before is written or refused.
  Task<void> drain();
  // Makes durable all that is written.
  Task<Result<void>> sync();

  // From the cache or the disk. Errors: not_found, when the segment was dropped; io.
  Task<Result<Bytes>> read(Position at, std::size_t bytes);
  const TailCache& cache() const { return cache_; }
  WalSegmentPtr find(std::uint32_t number) const;

  Position written() const { return written_; }
  Position durable() const { return durable_; }
  const std::optional<Error>& failure() const { return failed_; }
  // Of all segments, in bytes.
  std::uint64_t size_bytes() const;
  std::size_t segments() const { return segments_.size(); }
  // The oldest segment behind `number` that is full; null when there is none.
  WalSegmentPtr full_after(std::uint32_t number) const;
  std::size_t open_files() const { return segments_.size() + retired_.size(); }

  // Makes the active segment a full one. Requires: nothing is put meanwhile.
  Task<Result<void>> seal_active();
  // Gives up the segments up to `number`, in order; their files go when nobody reads them.
  Task<Result<void>> drop_through(std::uint32_t number);
  // Syncs and ends. Requires: nothing is put any more.
  Task<Result<void>> close();

 private:
  Task<void> write_queue();
  Task<Result<void>> write(WalGroupPtr group);
  Task<Result<void>> roll();
  void refuse(WalGroupPtr group, const Error& why);
  void note_durable(Position durable);
  Error poison(const Error& why);

  runtime::Runtime& runtime_;
  Engine& engine_;
  const SharedOptions& options_;
  const std::string directory_;
  WalObserver& observer_;

  std::uint64_t salt_ = 0;
  std::uint32_t next_number_ = 1;
  std::map<std::uint32_t, WalSegmentPtr> segments_;  // The last may be active.
  std::vector<WalSegmentPtr> retired_;
  WalSegmentPtr active_;   // Null before the first write.
  Position previous_end_;  // Where the segment before the active one ends.
  Position written_;
  Position durable_;             // durable_ <= written_
  std::optional<Error> failed_;  // Set once and for all.

  std::deque<WalGroupPtr> queue_;      // Not written yet; frames go to the last.
  WalGroupPtr current_;                // The last one taken from the queue.
  std::deque<WalGroupPtr> undurable_;  // Written, in order.
  TailCache cache_;
  bool writing_ = false;
  bool syncing_ = false;
  runtime::Event sync_ended_;
  runtime::Gate background_;
};

}  // namespace qlab::storage::shared
