#pragma once
// A segment past the page cache: O_DIRECT writes that are durable when they end, several in flight.
//
// append() copies into aligned memory and is done; a read takes what is still there from memory and
// the rest from the file. A full run of the staging, or a sync, sends writes (staging.h says which
// may go side by side). durable_size() is the prefix that has landed.
//
// Memory: nothing when all is durable, but for the bytes of the last block; at most
// staged_bytes_max and one append while a segment is busy. An append beyond that waits for writes.
// What no sync asked for may stay in memory until a run is full or the pool is pressed, so it is
// lost with the process and not only with the power.
//
// A full disk shows itself when a write is sent, and the appends that it carries are acknowledged
// by then. They are kept: they stay readable, a sync tells no_space, and appends are refused with
// no_space as long as what waits does not fit. Each later sync and append first sends it again, so
// the segment goes on when there is space. The kernel has not forgotten anything, as it does after
// a failed fdatasync, since the bytes are still here. Any other failed write poisons the segment.

#include "runtime/async.h"
#include "storage/engine.h"
#include "storage/engines/disk_engine.h"
#include "storage/engines/poison.h"
#include "storage/engines/staging.h"
#include "storage/turnstile.h"

namespace qlab::storage {

class DirectSegment final : public Segment, private StagingPool::Holder {
 public:
  static constexpr std::size_t in_flight_max = 8;
  static constexpr std::uint64_t staged_bytes_max = 16u << 20;

  DirectSegment(runtime::Runtime& runtime, SegmentFile file, std::shared_ptr<StagingPool> pool);
  ~DirectSegment() override;

  Task<Result<void>> append(std::vector<ByteView> pieces) override;
  std::optional<Result<void>> try_append(ByteView bytes) override;
  Task<Result<std::uint64_t>> sync() override;
  Task<Result<Bytes>> read(std::uint64_t position, std::size_t count) override;
  Task<Result<void>> truncate(std::uint64_t size) override;
  Task<Result<void>> rewrite(std::uint64_t position) override;
  std::uint64_t size() const override { return staging_.end(); }
  std::uint64_t durable_size() const override { return durable_size_; }
  Task<Result<void>> close() override;

 private:
  Task<Result<void>> append_in_turn(std::vector<ByteView> pieces, std::uint64_t bytes);
  Result<void> stage(std::span<const ByteView> pieces);
  Task<Result<void>> make_room(std::uint64_t bytes);
  Task<Result<void>> read_tail();
  Task<void> land_all();
  Task<Result<void>> cut(std::uint64_t size);
  Task<Result<void>> sync_what_was_there();
  Task<Result<void>> write_again(std::uint64_t position);

  void ask_for(std::uint64_t end);
  void write_out() override { ask_for(size()); }
  void send_later();
  Task<void> send();
  Task<void> write(Staging::RunPtr run);
  void note_progress();
  bool goes_at_once(std::uint64_t bytes) const;
  bool fits(std::uint64_t bytes) const;

  runtime::Runtime& runtime_;
  SegmentFile file_;
  const std::shared_ptr<StagingPool> pool_;
  Staging staging_;
  std::optional<StagingPool::Holding> holding_;  // While something is staged.
  std::uint64_t durable_size_ = 0;               // durable_size_ <= size()
  std::uint64_t wanted_ = 0;                     // A sync waits for all below it.
  Poison poison_;
  std::optional<Error> full_;  // A write did not fit; nothing is sent while it is set.

  bool tail_known_;              // The staging knows the bytes of the last block.
  bool opened_durable_ = false;  // The file as it was opened, and its name, are durable.
  bool syncing_ = false;         // That is being made true.
  bool sending_ = false;         // send() was started and has not begun.
  bool cutting_ = false;         // A truncation waits or is under way, and nothing is sent.
  std::size_t waiting_appends_ = 0;
  Turnstile turn_;         // Of the appends that wait.
  runtime::Event landed_;  // A write ended, or anything else that waiters look at changed.
  runtime::Gate writes_;
};

}  // namespace qlab::storage
