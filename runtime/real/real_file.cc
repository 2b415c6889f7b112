#include "runtime/real/real_file.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include "runtime/async.h"

namespace qlab::runtime {
namespace {

// fsync and not fdatasync: reading the rest back does not need a smaller size, so fdatasync may
// leave it out.
Result<void> truncate_and_sync(int fd, std::uint64_t size, const std::string& name) {
  if (::ftruncate(fd, static_cast<off_t>(size)) != 0) {
    return fail(errno_error(errno, fmt::format("truncate {} to {}", name, size)));
  }
  if (::fsync(fd) != 0) return fail(errno_error(errno, fmt::format("sync {}", name)));
  return {};
}

Result<void> write_zeros(int fd, std::uint64_t from, std::uint64_t to, const std::string& name) {
  const Bytes zeros(static_cast<std::size_t>(std::min<std::uint64_t>(to - from, 1u << 20)));
  while (from < to) {
    const std::size_t count =
        static_cast<std::size_t>(std::min<std::uint64_t>(to - from, zeros.size()));
    TRY_VOID(write_all(fd, from, {ByteView(zeros).first(count)}, name));
    from += count;
  }
  return {};
}

Result<void> extend(int fd, std::uint64_t size, Fill fill, const std::string& name) {
  TRY(const std::uint64_t old_size, size_of(fd, name));
  if (size <= old_size) return {};
  Result<void> added;
  if (fill == Fill::zeros) {
    added = write_zeros(fd, old_size, size, name);
  } else if (const int error = ::posix_fallocate(fd, static_cast<off_t>(old_size),
                                                 static_cast<off_t>(size - old_size))) {
    added = fail(errno_error(error, fmt::format("allocate {}", name)));
  }
  if (added && ::fsync(fd) != 0) added = fail(errno_error(errno, fmt::format("sync {}", name)));
  if (!added) TRY_VOID(truncate_and_sync(fd, old_size, name));
  return added;
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
  auto job = [fd = fd_.get(), size, name = name_] { return truncate_and_sync(fd, size, name); };
  auto outcome = co_await parts_.helper.run(std::move(job));
  co_return remember(std::move(outcome));
}

Task<Result<void>> RealFile::prepare(std::uint64_t size, Fill fill) {
  CO_TRY_VOID(may_sync());
  const DiskFault fault = parts_.ask(DiskOperation::prepare, name_, size);
  CO_TRY_VOID(co_await pass(fault, "prepare"));
  auto job = [fd = fd_.get(), size, fill, name = name_] { return extend(fd, size, fill, name); };
  co_return co_await parts_.helper.run(std::move(job));
}

Result<std::uint64_t> RealFile::size() const {
  if (!fd_.is_open()) return fail(Errc::closed, "size of {}", name_);
  return size_of(fd_.get(), name_);
}

Task<Result<void>> RealFile::close() {
  co_return fd_.close();
}

Result<void> RealFile::may_sync() const {
  if (!fd_.is_open()) return fail(Errc::closed, "sync {}", name_);
  if (sync_failure_.has_value()) return fail(*sync_failure_);
  return {};
}

Result<void> RealFile::remember(Result<void> outcome) {
  if (!outcome && !sync_failure_.has_value()) sync_failure_ = outcome.error();
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
  auto passed = co_await pass(fault, "write");
  if (passed) co_return co_await do_write(position, std::move(pieces));
  if (fault.torn > 0) {
    CO_TRY_VOID(co_await do_write(position, first_of(std::move(pieces), fault.torn)));
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

Task<Result<void>> RealFile::write_durably_with_faults(std::uint64_t position,
                                                       std::vector<ByteView> pieces) {
  CO_TRY_VOID(may_sync());
  CO_TRY_VOID(co_await write_with_faults(position, std::move(pieces)));
  co_return co_await sync_with_faults();
}

Task<Result<Bytes>> RealFile::read_with_faults(std::uint64_t position, std::size_t count) {
  const DiskFault fault = parts_.ask(DiskOperation::read, name_, position, count);
  CO_TRY_VOID(co_await pass(fault, "read"));
  co_return co_await do_read(position, count);
}

}  // namespace qlab::runtime
