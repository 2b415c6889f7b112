#include "storage/read_ahead.h"

#include <algorithm>
#include <cstring>

namespace qlab::storage {
namespace {

bool is_zero(ByteView bytes) {
  // Each byte equals the next one, and the first is zero.
  return bytes.empty() || (bytes.front() == std::byte{0} &&
                           std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

}  // namespace

ReadAhead::ReadAhead(runtime::Runtime& runtime, Segment& segment, std::uint64_t position,
                     std::uint64_t end)
    : ReadAhead(
          runtime,
          [&segment](std::uint64_t at, std::size_t count) { return segment.read(at, count); },
          position, end) {}

ReadAhead::ReadAhead(runtime::Runtime& runtime, runtime::File& file, std::uint64_t position,
                     std::uint64_t end)
    : ReadAhead(
          runtime, [&file](std::uint64_t at, std::size_t count) { return file.read(at, count); },
          position, end) {}

void ReadAhead::start_reads() {
  while (waiting_.size() < depth && position_ < end_) {
    const auto count =
        static_cast<std::size_t>(std::min<std::uint64_t>(window_bytes, end_ - position_));
    Read done(runtime_.executor());
    waiting_.push_back(done);
    reads_.start([this, position = position_, count, done] { return read(position, count, done); });
    position_ += count;
  }
}

Task<void> ReadAhead::read(std::uint64_t position, std::size_t count, Read done) {
  Result<Bytes> bytes = co_await source_(position, count);
  if (bytes && bytes->size() < count) {
    bytes = fail(Errc::io, "a segment gave {} of {} bytes at position {}", bytes->size(), count,
                 position);
  }
  done.set(std::move(bytes));
}

Task<Result<Bytes>> ReadAhead::next() {
  start_reads();
  if (waiting_.empty()) co_return Bytes{};
  Read first = waiting_.front();
  waiting_.pop_front();
  Result<Bytes> bytes = co_await first.wait();
  start_reads();
  co_return bytes;
}

Task<Result<bool>> is_zero(runtime::Runtime& runtime, Segment& segment, std::uint64_t from,
                           std::uint64_t end) {
  ReadAhead ahead(runtime, segment, from, end);
  co_return co_await is_zero(ahead);
}

Task<Result<bool>> is_zero(ReadAhead& ahead) {
  Result<bool> zero = true;
  while (zero && *zero) {
    const Result<Bytes> bytes = co_await ahead.next();
    if (!bytes) zero = fail(bytes.error());
    if (!bytes || bytes->empty()) break;
    zero = is_zero(ByteView(*bytes));
  }
  co_await ahead.close();
  co_return zero;
}

}  // namespace qlab::storage
