#pragma once
// Cuts a stream into frames, so that a small request costs one read. Unlike those of
// runtime/frame_reader.h a frame belongs to whoever takes it, for a request outlives the next read,
// and an idle connection keeps 16 KiB: clients are many, peers are few.

#include <memory>

#include "common/bytes.h"
#include "runtime/network.h"

namespace qlab::broker {

using runtime::Task;

class FrameReader {
 public:
  // Requires: `stream` outlives the reader.
  FrameReader(runtime::Stream& stream, std::size_t frame_bytes_max)
      : stream_(stream), frame_bytes_max_(frame_bytes_max), buffer_(buffer_bytes) {}

  // The next frame without its length. Memory is taken as its bytes come, not as its length says.
  // Errors: closed, at the end of the stream; invalid, for a length that is out of bounds.
  Task<Result<std::shared_ptr<const Bytes>>> next();

 private:
  static constexpr std::size_t buffer_bytes = 16u << 10;
  static constexpr std::size_t growth_bytes = 1u << 20;

  Task<Result<void>> fill(std::size_t bytes);
  ByteView buffered() const { return ByteView(buffer_).subspan(begin_, end_ - begin_); }

  runtime::Stream& stream_;
  const std::size_t frame_bytes_max_;
  Bytes buffer_;
  std::size_t begin_ = 0;  // Unread bytes are [begin_, end_).
  std::size_t end_ = 0;
};

}  // namespace qlab::broker
