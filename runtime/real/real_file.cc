#include "runtime/real/real_file.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include "runtime/aligned_buffer.h"
#include "runtime/async.h"

namespace qlab::runtime {
namespace {

constexpr std::size_t zero_step = 1u << 20;

std::uint64_t align_up(std::uint64_t value, std::uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

// fsync and not fdatasync: reading the rest back does not need a smaller size, so fdatasync may
// leave it out.
Result<void> truncate_and_sync(int fd, std::uint64_t size, const std::string& name) {
  if (::ftruncate(fd, static_cast<off_t>(size)) != 0) {
    return fail(errno_error(errno, fmt::format("truncate {} to {}", name, size)));
  }
  if (::fsync(fd) != 0) return fail(errno_error(errno, fmt::format("sync {}", name)));
  return {};
}

// Right for any file, O_DIRECT or not: all but the rest of the last block is written in whole
// blocks.
Result<void> write_zeros(int fd, std::uint64_t from, std::uint64_t to, const std::string& name) {
  AlignedBuffer zeros(zero_step);
  std::ranges::fill(zeros.bytes(), std::byte{0});
  const std::uint64_t first_block = std::min(to, align_up(from, direct_alignment));
  if (from < first_block) TRY_VOID(allocate(fd, from, first_block, name));
  for (std::uint64_t at = first_block; at < to;) {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(to - at, zero_step));
    TRY_VOID(write_all(fd, at, {ByteView(zeros.bytes()).first(count)}, name));
    at += count;
  }
  return {};
}

Result<void> extend(int fd, std::uint64_t old_size, std::uint64_t size, Fill fill,
                    const std::string& name) {
  auto added = fill == Fill::zeros ? write_zeros(fd, old_size, size, name)
                                   : allocate(fd, old_size, size, name);
  if (added && ::fsync(fd) != 0) added = fail(errno_error(errno, fmt::format("sync {}", name)));
  if (!added) TRY_VOID(truncate_and_sync(fd, old_size, name));
  return added;
}

// The whole file, because a large folio that begins before a range would stay. What is not to be
// written back is lost to the disk, and the pages are clean all the same: reads tell.
Result<void> forget_pages(int fd, const std::string& name) {
  constexpr unsigned whole =
      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  (void)::sync_file_range(fd, 0, 0, whole);
  const int error = ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  if (error != 0) return fail(errno_error(error, fmt::format("fadvise {}", name)));
  return {};
}

std::size_t total_size(const std::vector<ByteView>& pieces) {
  std::size_t sum = 0;
  for (const ByteView piece : pieces) sum += piece.size();
  return sum;
}

// The first `count` bytes of some pieces.
std::vector<ByteView> first_of(std::vector<ByteView> pieces, std::size_t count) {
  for (ByteView& piece : pieces) {
    piece = piece.first(std::min(piece.size(), count));
    count -= piece.size();
  }
  return pieces;
}

}  // namespace

Task<Result<void>> RealFile::write(std::uint64_t position, std::vector<ByteView> pieces) {
  if (parts_.hook) return write_with_faults(position, std::move(pieces));
  return do_write(position, std::move(pieces));
}

Task<Result<void>> RealFile::sync() {
  return parts_.hook ? sync_with_faults() : do_sync();
}

Task<Result<void>> RealFile::write_durably(std::uint64_t position, std::vector<ByteView> pieces) {
  if (parts_.hook) return write_durably_with_faults(position, std::move(pieces));
  return do_write_durably(position, std::move(pieces));
}

Task<Result<Bytes>> RealFile::read(std::uint64_t position, std::size_t count) {
  return parts_.hook ? read_with_faults(position, count) : do_read(position, count);
}

Task<Result<void>> RealFile::truncate(std::uint64_t size) {
  CO_TRY_VOID(may_sync());
  const DiskFault fault = parts_.ask(DiskOperation::truncate, name_, size);
  CO_TRY_VOID(co_await pass(fault, "truncate"));
  CO_TRY(const std::uint64_t old_size, this->size());
  if (size < old_size) resized(size);  // Nobody reads what goes while it goes.
  auto job = [fd = fd_.get(), size, name = name_] { return truncate_and_sync(fd, size, name); };
  auto outcome = remember(co_await parts_.helper.run(std::move(job)));
  if (outcome) resized(size);
  co_return outcome;
}

Task<Result<void>> RealFile::prepare(std::uint64_t size, Fill fill) {
  CO_TRY_VOID(may_sync());
  const DiskFault fault = parts_.ask(DiskOperation::prepare, name_, size);
  CO_TRY_VOID(co_await pass(fault, "prepare"));
  size = align_up(size, write_unit());
  CO_TRY(const std::uint64_t old_size, this->size());
  if (size <= old_size) co_return Result<void>{};
  auto job = [fd = fd_.get(), old_size, size, fill, name = name_] {
    return extend(fd, old_size, size, fill, name);
  };
  auto outcome = co_await parts_.preparer.run(std::move(job));
  resized(outcome ? size : old_size);
  co_return outcome;
}

Task<Result<void>> RealFile::forget_cached() {
  if (!fd_.is_open()) co_return fail(Errc::closed, "read {}", name_);
  CO_TRY_VOID(co_await pass(parts_.ask(DiskOperation::read, name_), "read"));
  unmap();
  auto job = [fd = fd_.get(), name = name_] { return forget_pages(fd, name); };
  auto forgotten = co_await parts_.helper.run(std::move(job));
  co_return forgotten;
}

Result<std::uint64_t> RealFile::size() const {
  if (!fd_.is_open()) return fail(Errc::closed, "size of {}", name_);
  return size_of(fd_.get(), name_);
}

Task<Result<void>> RealFile::close() {
  auto let_go = fd_.is_open() ? before_close() : Result<void>{};
  auto closed = fd_.close();
  co_return let_go ? std::move(closed) : std::move(let_go);
}

Result<void> RealFile::may_sync() const {
  if (!fd_.is_open()) return fail(Errc::closed, "sync {}", name_);
  if (sync_failure_.has_value()) return fail(*sync_failure_);
  const bool failed = parts_.filesystem_failure.has_value();
  if (failed && !opened_after_failure_) return fail(*parts_.filesystem_failure);
  return {};
}

Result<void> RealFile::remember(Result<void> outcome) {
  if (!outcome && !sync_failure_.has_value()) sync_failure_ = outcome.error();
  if (sync_failure_.has_value()) return fail(*sync_failure_);
  return outcome;
}

Task<Result<void>> RealFile::pass(DiskFault fault, std::string_view what) {
  if (fault.delay > Duration::zero()) co_await sleep_for(parts_.runtime, fault.delay);
  if (fault.error != 0) {
    co_return fail(errno_error(fault.error, fmt::format("{} {} (injected)", what, name_)));
  }
  co_return Result<void>{};
}

Task<Result<void>> RealFile::write_with_faults(std::uint64_t position,
                                               std::vector<ByteView> pieces) {
  const DiskFault fault = parts_.ask(DiskOperation::write, name_, position, total_size(pieces));
  if (fault.error != 0) co_return co_await write_partly(position, std::move(pieces), fault);
  CO_TRY_VOID(co_await pass(fault, "write"));
  co_return co_await do_write(position, std::move(pieces));
}

// A write that is to fail: `fault` says how much of it arrives.
Task<Result<void>> RealFile::write_partly(std::uint64_t position, std::vector<ByteView> pieces,
                                          DiskFault fault) {
  auto passed = co_await pass(fault, "write");
  if (fault.torn > 0) {
    const std::size_t arrives = fault.torn - fault.torn % write_unit();
    CO_TRY_VOID(co_await do_write(position, first_of(std::move(pieces), arrives)));
  }
  co_return passed;
}

Task<Result<void>> RealFile::sync_with_faults() {
  CO_TRY_VOID(may_sync());
  const DiskFault fault = parts_.ask(DiskOperation::sync, name_);
  auto passed = co_await pass(fault, "sync");
  if (!passed) co_return remember(std::move(passed));
  co_return co_await do_sync();
}

// One operation with two faults: its write's, and after that its sync's.
Task<Result<void>> RealFile::write_durably_with_faults(std::uint64_t position,
                                                       std::vector<ByteView> pieces) {
  CO_TRY_VOID(may_sync());
  const std::size_t count = total_size(pieces);
  const DiskFault fault = parts_.ask(DiskOperation::write, name_, position, count);
  if (fault.error != 0) co_return co_await write_partly(position, std::move(pieces), fault);
  CO_TRY_VOID(co_await pass(fault, "write"));
  auto passed = co_await pass(parts_.ask(DiskOperation::sync, name_), "sync");
  if (passed) co_return co_await do_write_durably(position, std::move(pieces));
  CO_TRY_VOID(co_await do_write(position, std::move(pieces)));
  co_return remember(std::move(passed));
}

Task<Result<Bytes>> RealFile::read_with_faults(std::uint64_t position, std::size_t count) {
  const DiskFault fault = parts_.ask(DiskOperation::read, name_, position, count);
  CO_TRY_VOID(co_await pass(fault, "read"));
  co_return co_await do_read(position, count);
}

}  // namespace qlab::runtime
