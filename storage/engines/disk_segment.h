#pragma once
// A segment in the page cache: gathered writes, group commit, poison.
//
// A write or a sync begins once all who go on in the same turn of the loop have said what they
// have. One write and one sync are in flight at a time, and may overlap each other. Appends that
// arrive during a write are gathered into the next one; syncs that arrive during a sync share the
// next one. So the queues hold one entry per caller that awaits, and need no capacity of their own.

#include <deque>
#include <optional>

#include "runtime/async.h"
#include "storage/engines/disk_engine.h"
#include "storage/engines/poison.h"

namespace qlab::storage {

class DiskSegment final : public Segment {
 public:
  DiskSegment(runtime::Runtime& runtime, SegmentFile file);
  ~DiskSegment() override;

  Task<Result<void>> append(std::vector<ByteView> pieces) override;
  Task<Result<std::uint64_t>> sync() override;
  Task<Result<Bytes>> read(std::uint64_t position, std::size_t count) override;
  Task<Result<void>> truncate(std::uint64_t size) override;
  Task<Result<void>> forget_cached() override;
  Task<Result<void>> rewrite(std::uint64_t position) override;
  std::uint64_t size() const override { return size_; }
  std::uint64_t durable_size() const override { return durable_size_; }
  void note_durable(std::uint64_t size) override;
  Task<Result<void>> close() override;

 private:
  struct Append;

  Task<void> write_group();
  Task<Result<void>> cut_partial_write(Error why);
  Task<Result<void>> sync_file();
  Task<Result<void>> write_again(std::uint64_t position);
  void next_writer();

  runtime::Runtime& runtime_;
  SegmentFile file_;
  std::uint64_t size_;              // Bytes whose write has ended.
  std::uint64_t durable_size_ = 0;  // durable_size_ <= size_
  Poison poison_;

  std::deque<Append*> queue_;  // In call order; each lives in the frame of its append().
  bool writing_ = false;       // A write or a truncation is in flight.
  bool syncing_ = false;       // A sync or a truncation is in flight.
  bool entry_durable_ = false;
  runtime::Event sync_ended_;
};

// What a DiskEngine of the page cache makes of its files.
DiskEngine::MakeSegment make_disk_segment(runtime::Runtime& runtime);

}  // namespace qlab::storage
