#pragma once
// The segment files of all logs of a layout, of which only so many are open at a time.
//
// It is an engine over another engine: a segment of it opens its file with the first call that
// needs it, and the file that was used least recently is closed to make room. Logs need not know.
//
// A file is closed only when no call is under way in it and all of it is durable: an error of the
// disk is told once to whoever has the file open, so closing it unsynced might lose one. A segment
// that has met an error stays open, because only the open file knows what is still readable.

#include <deque>

#include <boost/intrusive/list.hpp>

#include "runtime/async.h"
#include "storage/engine.h"

namespace qlab::storage {

class CappedSegment;

// Thread: one shard.
class SegmentFiles final : public Engine {
 public:
  // Requires: `engine` and `runtime` outlive it, and it outlives its segments; open_max > 0.
  SegmentFiles(runtime::Runtime& runtime, Engine& engine, std::size_t open_max);
  ~SegmentFiles() override;

  std::string_view name() const override { return engine_.name(); }
  bool is_persistent() const override { return engine_.is_persistent(); }
  bool is_synced_by_filesystem() const override { return engine_.is_synced_by_filesystem(); }
  // Errors: as the engine's, and they tell how many files are open and may be.
  Task<Result<std::unique_ptr<Segment>>> open(std::string path) override;
  // A segment that is known to have `size` bytes, all durable, and whose file is not opened yet.
  // The first call that needs it fails with corrupt when the file has fewer bytes, or others than
  // zeros behind them.
  std::unique_ptr<Segment> known(std::string path, std::uint64_t size);
  // One whose file is not there; the first call that needs it makes it, as open() does.
  std::unique_ptr<Segment> unmade(std::string path);
  Result<std::vector<std::string>> list(std::string_view directory) override {
    return engine_.list(directory);
  }
  Result<void> remove(std::string_view path) override { return engine_.remove(path); }

  std::size_t open_count() const { return open_; }

 private:
  friend class CappedSegment;

  // Opens a file, when there is room for it. The place is given back by give_back().
  Task<Result<std::unique_ptr<Segment>>> open_file(std::string path);
  Task<void> make_room();
  void give_back();
  void wake_one();
  void now_idle(CappedSegment& segment);

  runtime::Runtime& runtime_;
  Engine& engine_;
  const std::size_t open_max_;
  std::size_t open_ = 0;  // Files that are open, or being opened or closed; <= open_max_.
  struct Idle;
  std::unique_ptr<Idle> idle_;  // Open, and no call is under way; the least recently used first.
  std::deque<std::shared_ptr<runtime::Suspension>> waiting_;  // For room; one per open under way.
};

}  // namespace qlab::storage
