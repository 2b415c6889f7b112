#include "storage/batch_scanner.h"

#include <algorithm>

#include "common/crc32c.h"

namespace qlab::storage {

Task<Result<ByteView>> BatchScanner::look(std::uint64_t position, std::size_t count) {
  const bool here = position >= bytes_start_ && position + count <= bytes_start_ + bytes_.size();
  if (!here) {
    const std::uint64_t wanted = std::max<std::uint64_t>(count, window_);
    const auto reads = static_cast<std::size_t>(std::min(wanted, end_ - position));
    CO_TRY(bytes_, co_await segment_.read(position, reads));
    bytes_start_ = position;
    if (bytes_.size() < count) {
      co_return fail(Errc::io, "a segment gave {} of {} bytes at position {}", bytes_.size(), count,
                     position);
    }
  }
  co_return ByteView(bytes_).subspan(static_cast<std::size_t>(position - bytes_start_), count);
}

Task<Result<std::optional<BatchAt>>> BatchScanner::next() {
  const std::uint64_t left = end_ - position_;
  if (left == 0) co_return std::optional<BatchAt>{};
  const auto header_bytes =
      static_cast<std::size_t>(std::min<std::uint64_t>(left, batch_header_bytes));
  CO_TRY(const ByteView front, co_await look(position_, header_bytes));
  CO_TRY(const BatchHeader header, decode_batch_header(front));
  if (header.total_bytes() > left) {
    co_return fail(Errc::torn, "batch at offset {} has {} bytes; {} are here", header.base_offset,
                   header.total_bytes(), left);
  }
  if (check_ == BatchCheck::checksum) {
    if (header.total_bytes() <= window_) {
      CO_TRY(const ByteView batch, co_await look(position_, header.total_bytes()));
      CO_TRY_VOID(check_batch(batch));
    } else {
      CO_TRY_VOID(co_await check_long_batch(header));
    }
  }
  const BatchAt found{position_, header};
  position_ = found.end();
  co_return std::optional(found);
}

Task<Result<void>> BatchScanner::check_long_batch(BatchHeader header) {
  std::uint64_t at = position_ + batch_crc_start;
  const std::uint64_t end = position_ + header.total_bytes();
  std::uint32_t crc = 0;
  while (at < end) {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(window_, end - at));
    CO_TRY(const ByteView piece, co_await look(at, count));
    crc = crc32c(piece, crc);
    at += count;
  }
  if (crc != header.crc) {
    co_return fail(Errc::corrupt, "batch at offset {} has CRC {:#010x}; its bytes give {:#010x}",
                   header.base_offset, header.crc, crc);
  }
  co_return Result<void>{};
}

Task<Result<std::optional<BatchAt>>> find_batch(Segment& segment, std::uint64_t from,
                                                std::uint64_t end, Offset least) {
  constexpr std::size_t window = 1u << 20;
  while (from + batch_header_bytes <= end) {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(window, end - from));
    CO_TRY(const Bytes bytes, co_await segment.read(from, count));
    const ByteView view(bytes);
    for (std::size_t i = 0; i + batch_header_bytes <= view.size(); ++i) {
      const auto header = decode_batch_header(view.subspan(i, batch_header_bytes));
      if (!header || header->base_offset < least) continue;
      if (header->total_bytes() > end - from - i) continue;
      BatchScanner candidate(segment, from + i, end, BatchCheck::checksum);
      auto found = co_await candidate.next();
      if (found) co_return std::move(found);
      if (!is_bad_batch(found.error())) co_return fail(std::move(found).error());
    }
    from += view.size() - batch_header_bytes + 1;
  }
  co_return std::optional<BatchAt>{};
}

}  // namespace qlab::storage
