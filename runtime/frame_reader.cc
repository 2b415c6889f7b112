#include "runtime/frame_reader.h"

#include <algorithm>
#include <cstring>

namespace qlab::runtime {

std::size_t FrameReader::wanted() const {
  if (buffered() < length_bytes) return length_bytes;
  return length_bytes + load_big<std::uint32_t>(buffer_.data() + begin_);
}

Task<Result<void>> FrameReader::fill() {
  for (;;) {
    const std::size_t bytes = wanted();
    if (bytes > length_bytes + frame_bytes_max_) {
      co_return fail(Errc::invalid, "a frame of {} bytes from {}; allowed are {}",
                     bytes - length_bytes, stream_.remote(), frame_bytes_max_);
    }
    if (buffered() >= bytes && bytes > length_bytes) co_return Result<void>{};
    if (buffered() >= length_bytes && bytes == length_bytes) {
      co_return fail(Errc::invalid, "an empty frame from {}", stream_.remote());
    }
    if (begin_ > 0) {
      const std::size_t left = buffered();
      std::memmove(buffer_.data(), buffer_.data() + begin_, left);
      begin_ = 0;
      end_ = left;
    }
    if (end_ == buffer_.size()) buffer_.resize(std::min(buffer_.size() * 2, bytes));
    CO_TRY(const std::size_t got, co_await stream_.read_some(std::span(buffer_).subspan(end_)));
    end_ += got;
  }
}

std::optional<ByteView> FrameReader::take() {
  const std::size_t bytes = wanted();
  if (bytes <= length_bytes || buffered() < bytes) return std::nullopt;
  const ByteView frame = ByteView(buffer_).subspan(begin_ + length_bytes, bytes - length_bytes);
  begin_ += bytes;
  return frame;
}

}  // namespace qlab::runtime
