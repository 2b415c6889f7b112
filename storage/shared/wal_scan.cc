#include "storage/shared/wal_scan.h"

#include <algorithm>

namespace qlab::storage::shared {

Task<Result<ByteView>> WalScanner::look(std::uint64_t position, std::size_t count) {
  const std::uint64_t end = std::min<std::uint64_t>(position + count, size_);
  const bool here =
      position >= bytes_start_ && end <= bytes_start_ + bytes_.size() && end > position;
  if (!here && end > position) {
    const std::size_t wanted = std::max(window_, static_cast<std::size_t>(end - position));
    CO_TRY(bytes_, co_await segment_->data->read(position, wanted));
    bytes_start_ = position;
  }
  if (end <= position) co_return ByteView{};
  co_return ByteView(bytes_).subspan(static_cast<std::size_t>(position - bytes_start_));
}

std::optional<Frame> WalScanner::next_here() {
  if (position_ < bytes_start_ || position_ >= bytes_start_ + bytes_.size()) return {};
  const ByteView bytes =
      ByteView(bytes_).subspan(static_cast<std::size_t>(position_ - bytes_start_));
  const Result<Frame> frame = check_frame(bytes, segment_->seed, own(position_));
  if (!frame) return {};
  position_ += frame->total_bytes();
  return *frame;
}

Task<Result<std::optional<Frame>>> WalScanner::next() {
  if (bad_ || position_ >= size_) co_return std::optional<Frame>{};
  CO_TRY(ByteView bytes, co_await look(position_, frame_header_bytes + batch_header_bytes));
  Result<Frame> frame = check_frame(bytes, segment_->seed, own(position_));
  if (!frame && frame.error().code == Errc::torn && may_be_frame(bytes)) {
    // It may only reach beyond the window. Its length is believed once its header is.
    constexpr std::size_t length_at = 8;
    const std::size_t total =
        frame_header_bytes + load_big<std::uint32_t>(bytes.data() + length_at);
    if (position_ + total <= size_) {
      CO_TRY(bytes, co_await look(position_, total));
      frame = check_frame(bytes, segment_->seed, own(position_));
    }
  }
  if (!frame) {
    bad_ = frame.error();
    co_return std::optional<Frame>{};
  }
  position_ += frame->total_bytes();
  co_return std::optional<Frame>(*frame);
}

Task<Result<BadFrame>> WalScanner::look_behind() {
  BadFrame bad{
      .position = position_, .why = *bad_, .durable = {}, .frames_behind = 0, .only_zeros = true};
  std::uint64_t at = position_;
  while (at < size_) {
    CO_TRY(const ByteView bytes, co_await look(at, frame_header_bytes + batch_header_bytes));
    const std::size_t steps = at + bytes.size() >= size_
                                  ? bytes.size()
                                  : bytes.size() - (frame_header_bytes + batch_header_bytes) + 1;
    for (std::size_t i = 0; i < steps; ++i) {
      if (bytes[i] == std::byte{0}) continue;
      bad.only_zeros = false;
      if (!may_be_frame(bytes.subspan(i))) continue;
      const Result<Frame> frame = check_frame_header(bytes.subspan(i), segment_->seed, own(at + i));
      if (!frame) continue;
      ++bad.frames_behind;
      bad.durable = std::max(bad.durable, frame->durable);
    }
    at += steps;
  }
  co_return bad;
}

}  // namespace qlab::storage::shared
