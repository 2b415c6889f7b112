#include "broker/frame_reader.h"

#include <algorithm>

#include "wire/kafka/frame.h"

namespace qlab::broker {

// Makes at least `bytes` unread bytes available in the buffer.
Task<Result<void>> FrameReader::fill(std::size_t bytes) {
  if (end_ - begin_ < bytes && begin_ > 0) {
    std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_),
              buffer_.begin() + static_cast<std::ptrdiff_t>(end_), buffer_.begin());
    end_ -= std::exchange(begin_, 0);
  }
  while (end_ - begin_ < bytes) {
    CO_TRY(const std::size_t count, co_await stream_.read_some(std::span(buffer_).subspan(end_)));
    end_ += count;
  }
  co_return Result<void>{};
}

Task<Result<std::shared_ptr<const Bytes>>> FrameReader::next() {
  CO_TRY_VOID(co_await fill(wire::frame_length_bytes));
  CO_TRY(const std::size_t length,
         wire::decode_frame_length(buffered().first(wire::frame_length_bytes), frame_bytes_max_));
  begin_ += wire::frame_length_bytes;

  auto frame = std::make_shared<Bytes>();
  const std::size_t had = std::min(length, end_ - begin_);
  frame->reserve(std::min(length, had + growth_bytes));
  frame->assign(buffered().begin(), buffered().begin() + static_cast<std::ptrdiff_t>(had));
  begin_ += had;
  while (frame->size() < length) {
    const std::size_t filled = frame->size();
    const std::size_t step = std::min(length - filled, std::max(growth_bytes, filled));
    frame->resize(filled + step);
    for (std::size_t at = filled; at < frame->size();) {
      CO_TRY(const std::size_t count, co_await stream_.read_some(std::span(*frame).subspan(at)));
      at += count;
    }
  }
  co_return std::shared_ptr<const Bytes>(std::move(frame));
}

}  // namespace qlab::broker
