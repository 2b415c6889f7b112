#include "storage/batch_scanner.h"

#include <algorithm>

#include "common/crc32c.h"

namespace qlab::storage {

namespace {

// A batch's magic is at the same place in every version. Looked at before the rest is decoded: a
// search tries every byte.
constexpr std::size_t magic_position = 16;
constexpr std::byte magic{2};

}  // namespace

ByteView BatchScanner::here(std::uint64_t at) const {
  if (at < bytes_start_ || at >= bytes_start_ + bytes_.size()) return {};
  return ByteView(bytes_).subspan(static_cast<std::size_t>(at - bytes_start_));
}

Task<Result<void>> BatchScanner::load(std::uint64_t at) {
  while (here(at).empty()) {
    if (ahead_ != nullptr) {
      bytes_start_ += bytes_.size();
      CO_TRY(bytes_, co_await ahead_->next());
    } else {
      const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(window_, end_ - at));
      CO_TRY(bytes_, co_await segment_.read(at, count));
      bytes_start_ = at;
    }
    if (bytes_.empty()) co_return fail(Errc::io, "a segment gave no bytes at position {}", at);
  }
  co_return Result<void>{};
}

Task<Result<ByteView>> BatchScanner::front(std::size_t count) {
  if (here(position_).empty()) CO_TRY_VOID(co_await load(position_));
  const ByteView whole = here(position_);
  if (whole.size() >= count) co_return whole.first(count);
  std::size_t have = 0;
  while (have < count) {
    CO_TRY_VOID(co_await load(position_ + have));
    const ByteView part = here(position_ + have);
    const std::size_t taken = std::min(part.size(), count - have);
    std::copy_n(part.begin(), taken, split_.begin() + static_cast<std::ptrdiff_t>(have));
    have += taken;
  }
  co_return ByteView(split_).first(count);
}

Task<Result<std::optional<BatchAt>>> BatchScanner::next() {
  const std::uint64_t left = end_ - position_;
  if (left == 0) co_return std::optional<BatchAt>{};
  const auto header_bytes =
      static_cast<std::size_t>(std::min<std::uint64_t>(left, batch_header_bytes));
  ByteView bytes = here(position_);
  if (bytes.size() < header_bytes) {
    CO_TRY(bytes, co_await front(header_bytes));
  }
  CO_TRY(const BatchHeader header, decode_batch_header(bytes));
  if (header.total_bytes() > left) {
    co_return fail(Errc::torn, "batch at offset {} has {} bytes; {} are here", header.base_offset,
                   header.total_bytes(), left);
  }
  if (check_ == BatchCheck::checksum) {
    const std::size_t whole = std::min(bytes.size(), header.total_bytes());
    const std::uint32_t crc = crc32c(bytes.first(whole).subspan(batch_crc_start));
    if (whole < header.total_bytes() || crc != header.crc) {
      CO_TRY_VOID(co_await check_rest(header, position_ + whole, crc));
    }
  }
  const BatchAt found{position_, header};
  position_ = found.end();
  co_return std::optional(found);
}

// Goes on at `at`, where the checksum of what lies before is `crc`.
Task<Result<void>> BatchScanner::check_rest(BatchHeader header, std::uint64_t at,
                                            std::uint32_t crc) {
  const std::uint64_t end = position_ + header.total_bytes();
  while (at < end) {
    if (here(at).empty()) CO_TRY_VOID(co_await load(at));
    const ByteView rest = here(at);
    const ByteView piece =
        rest.first(static_cast<std::size_t>(std::min<std::uint64_t>(rest.size(), end - at)));
    crc = crc32c(piece, crc);
    at += piece.size();
  }
  if (crc != header.crc) {
    co_return fail(Errc::corrupt, "batch at offset {} has CRC {:#010x}; its bytes give {:#010x}",
                   header.base_offset, header.crc, crc);
  }
  co_return Result<void>{};
}

Task<Result<std::optional<BatchAt>>> find_batch(Segment& segment, std::uint64_t from,
                                                std::uint64_t end, Offset least) {
  constexpr std::size_t window = BatchScanner::window_default;
  while (from + batch_header_bytes <= end) {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(window, end - from));
    CO_TRY(const Bytes bytes, co_await segment.read(from, count));
    const ByteView view(bytes);
    for (std::size_t i = 0; i + batch_header_bytes <= view.size(); ++i) {
      if (view[i + magic_position] != magic) continue;
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
