#pragma once
// Walks the frames of one segment of the shared log in bounded memory.

#include <optional>

#include "storage/shared/wal.h"

namespace qlab::storage::shared {

// Why a walk ended before the end of the file, and what lies behind.
struct BadFrame {
  std::uint64_t position = 0;
  Error why;
  Position durable;  // The largest that a whole frame behind it speaks of.
  std::uint64_t frames_behind = 0;
  bool only_zeros = false;  // Nothing but prepared space lies from here on.
};

// Cost: one read of the segment per window, or per frame that is longer.
class WalScanner {
 public:
  explicit WalScanner(WalSegmentPtr segment, std::size_t window_bytes = 4u << 20)
      : segment_(std::move(segment)), window_(window_bytes), size_(segment_->data->size()) {}

  // The next whole frame, good until the next call; nothing at the end or before a bad frame.
  // Errors: io.
  Task<Result<std::optional<Frame>>> next();
  // The same within the call; nothing also where bytes have to be read first.
  std::optional<Frame> next_here();
  std::uint64_t position() const { return position_; }  // Of what next() would give.
  // Why next() gave nothing, unless the segment simply ends.
  const std::optional<Error>& bad() const { return bad_; }
  // Looks at everything behind the bad frame. Requires: bad().
  Task<Result<BadFrame>> look_behind();

 private:
  // The bytes from `position` on, at least `count` of them unless the segment ends before.
  Task<Result<ByteView>> look(std::uint64_t position, std::size_t count);
  Position own(std::uint64_t position) const {
    return {segment_->number, static_cast<std::uint32_t>(position)};
  }

  const WalSegmentPtr segment_;
  const std::size_t window_;
  const std::uint64_t size_;
  std::uint64_t position_ = 0;
  Bytes bytes_;  // Of the segment, from bytes_start_ on.
  std::uint64_t bytes_start_ = 0;
  std::optional<Error> bad_;
};

}  // namespace qlab::storage::shared
