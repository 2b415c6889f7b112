#pragma once
// Reads a stretch of a segment from front to back, with several reads under way at a time.

#include <deque>
#include <functional>

#include "runtime/async.h"
#include "runtime/disk.h"
#include "storage/engine.h"

namespace qlab::storage {

// Thread: one shard. Memory: `depth` windows, and the one that the reader holds.
class ReadAhead {
 public:
  static constexpr std::size_t window_bytes = 1u << 20;
  static constexpr std::size_t depth = 4;

  // Reads [position, end) of what comes first. Requires: that much is there; it outlives this.
  ReadAhead(runtime::Runtime& runtime, Segment& segment, std::uint64_t position, std::uint64_t end);
  ReadAhead(runtime::Runtime& runtime, runtime::File& file, std::uint64_t position,
            std::uint64_t end);

  // The next window, whole unless it is the last; empty at the end. Errors: as Segment::read().
  Task<Result<Bytes>> next();
  // Waits for the reads under way. Requires: called once, before it is destroyed, after next().
  Task<void> close() { return reads_.close(); }

 private:
  using Read = runtime::Completion<Result<Bytes>>;
  using Source = std::function<Task<Result<Bytes>>(std::uint64_t position, std::size_t count)>;

  ReadAhead(runtime::Runtime& runtime, Source source, std::uint64_t position, std::uint64_t end)
      : runtime_(runtime),
        source_(std::move(source)),
        position_(position),
        end_(end),
        reads_(runtime) {}
  void start_reads();
  Task<void> read(std::uint64_t position, std::size_t count, Read done);

  runtime::Runtime& runtime_;
  const Source source_;
  std::uint64_t position_;  // Of the first window that no read was started for.
  const std::uint64_t end_;
  std::deque<Read> waiting_;  // In the order of their positions; at most `depth`.
  runtime::Gate reads_;
};

// True when there are only zeros in [from, end). Errors: as Segment::read().
Task<Result<bool>> is_zero(runtime::Runtime& runtime, Segment& segment, std::uint64_t from,
                           std::uint64_t end);
// The same of what `ahead` has not given yet, and closes it.
Task<Result<bool>> is_zero(ReadAhead& ahead);

}  // namespace qlab::storage
