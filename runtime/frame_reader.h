#pragma once
// Cuts a stream into frames: length:u32 of what follows, in network order, then that.

#include <optional>

#include "common/bytes.h"
#include "runtime/network.h"

namespace qlab::runtime {

// Reads whatever has come in one call, so that many small frames cost one read.
//
//   CO_TRY_VOID(co_await reader.fill());
//   while (const auto frame = reader.take()) ...
class FrameReader {
 public:
  static constexpr std::size_t length_bytes = 4;

  // Requires: `stream` outlives the reader.
  FrameReader(Stream& stream, std::size_t frame_bytes_max)
      : stream_(stream), frame_bytes_max_(frame_bytes_max), buffer_(buffer_bytes_min) {}

  // Returns once take() has a frame to give. Memory is taken as bytes come, not as a length says.
  // Errors: closed, at the end of the stream; invalid, for a length that is out of bounds.
  Task<Result<void>> fill();
  // The next frame without its length, if all of it is here. It stays valid until the next fill().
  std::optional<ByteView> take();

 private:
  static constexpr std::size_t buffer_bytes_min = 256u << 10;

  std::size_t buffered() const { return end_ - begin_; }
  // Bytes of the next frame with its length; of the length only while that is not here.
  std::size_t wanted() const;

  Stream& stream_;
  const std::size_t frame_bytes_max_;
  Bytes buffer_;
  std::size_t begin_ = 0;  // Unread bytes are [begin_, end_).
  std::size_t end_ = 0;
};

}  // namespace qlab::runtime
