#pragma once
// Walks the batches of a segment from front to back in bounded memory.

#include <array>
#include <optional>

#include "common/record_batch.h"
#include "storage/engine.h"
#include "storage/read_ahead.h"

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

// Cost: one read of the segment per window. Checksums are taken where the bytes lie, also across
// windows, so a batch may be longer than a window and none is copied.
class BatchScanner {
 public:
  static constexpr std::size_t window_default = ReadAhead::window_bytes;

  // Walks [position, end). Requires: end <= segment.size(); the segment outlives the scanner.
  BatchScanner(Segment& segment, std::uint64_t position, std::uint64_t end, BatchCheck check,
               std::size_t window_bytes = window_default)
      : segment_(segment),
        position_(position),
        end_(end),
        check_(check),
        window_(window_bytes),
        bytes_start_(position) {}
  // The same, with the windows of `ahead`. Requires: it was made for that stretch of that segment,
  // and outlives the scanner.
  BatchScanner(Segment& segment, std::uint64_t position, std::uint64_t end, BatchCheck check,
               ReadAhead& ahead)
      : BatchScanner(segment, position, end, check) {
    ahead_ = &ahead;
  }

  // The next batch; nothing at the end. After an error position() is where the bad batch begins,
  // and next() is not called again.
  // Errors: torn, when what is left is shorter than the batch; corrupt; io.
  Task<Result<std::optional<BatchAt>>> next();

  std::uint64_t position() const { return position_; }

 private:
  // What bytes_ holds from `at` on; empty when that is elsewhere.
  ByteView here(std::uint64_t at) const;
  // Makes here(at) hold a byte at least. Requires: at < end_.
  Task<Result<void>> load(std::uint64_t at);
  // The first `count` bytes of the next batch, put together when they lie in two windows.
  Task<Result<ByteView>> front(std::size_t count);
  Task<Result<void>> check_rest(BatchHeader header, std::uint64_t at, std::uint32_t crc);

  Segment& segment_;
  std::uint64_t position_;  // Of the next batch; position_ <= end_.
  const std::uint64_t end_;
  const BatchCheck check_;
  const std::size_t window_;
  ReadAhead* ahead_ = nullptr;
  Bytes bytes_;  // Of the segment, from bytes_start_ on.
  std::uint64_t bytes_start_;
  std::array<std::byte, batch_header_bytes> split_{};  // A header that lies in two windows.
};

// The first position in [from, end) where a whole batch with a base offset >= `least` begins, found
// by trying every byte. Nothing when there is none. Errors: io.
Task<Result<std::optional<BatchAt>>> find_batch(Segment& segment, std::uint64_t from,
                                                std::uint64_t end, Offset least);

}  // namespace qlab::storage
