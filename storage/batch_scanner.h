#pragma once
// Walks the batches of a segment from front to back in bounded memory.

#include <optional>

#include "common/record_batch.h"
#include "storage/engine.h"

namespace qlab::storage {

struct BatchAt {
  std::uint64_t position = 0;
  BatchHeader header;

  std::uint64_t end() const { return position + header.total_bytes(); }
};

// True for what bad bytes give (torn, corrupt), false for what a failing disk or a closed file
// gives.
inline bool is_bad_batch(const Error& error) {
  return error.code == Errc::torn || error.code == Errc::corrupt;
}

// How much of a batch is looked at.
enum class BatchCheck : std::uint8_t { header, checksum };

// Cost: one read of the segment per window; a batch longer than the window is checked in pieces.
class BatchScanner {
 public:
  // Walks [position, end). Requires: end <= segment.size(); the segment outlives the scanner.
  BatchScanner(Segment& segment, std::uint64_t position, std::uint64_t end, BatchCheck check,
               std::size_t window_bytes = 1u << 20)
      : segment_(segment), position_(position), end_(end), check_(check), window_(window_bytes) {}

  // The next batch; nothing at the end. After an error position() is where the bad batch begins.
  // Errors: torn, when what is left is shorter than the batch; corrupt; io.
  Task<Result<std::optional<BatchAt>>> next();

  std::uint64_t position() const { return position_; }

 private:
  // Makes bytes_ hold `count` bytes from `position`.
  Task<Result<ByteView>> look(std::uint64_t position, std::size_t count);
  Task<Result<void>> check_long_batch(BatchHeader header);

  Segment& segment_;
  std::uint64_t position_;  // Of the next batch; position_ <= end_.
  const std::uint64_t end_;
  const BatchCheck check_;
  const std::size_t window_;
  Bytes bytes_;  // Of the segment, from bytes_start_ on.
  std::uint64_t bytes_start_ = 0;
};

// The first position in [from, end) where a whole batch with a base offset >= `least` begins, found
// by trying every byte. Nothing when there is none. Errors: io.
Task<Result<std::optional<BatchAt>>> find_batch(Segment& segment, std::uint64_t from,
                                                std::uint64_t end, Offset least);

}  // namespace qlab::storage
