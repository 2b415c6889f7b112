#include <algorithm>
#include <cerrno>

#include <sys/uio.h>

#include "runtime/real/real_file.h"

namespace qlab::runtime {
namespace {

bool try_again(int result) {
  return result == -EINTR || result == -EAGAIN;
}

class UringFile final : public RealFile {
 public:
  UringFile(Fd fd, std::string name, DiskParts& parts)
      : RealFile(std::move(fd), std::move(name), parts), ring_(*parts.ring) {}

 protected:
  Task<Result<void>> do_write(std::uint64_t position, std::vector<ByteView> pieces) override {
    if (!fd_.is_open()) co_return fail(Errc::closed, "write {}", name_);
    ++unsynced_changes_;
    auto outcome = co_await write_pieces(position, std::move(pieces), 0);
    ++unsynced_changes_;
    co_return outcome;
  }

  Task<Result<void>> do_sync() override {
    CO_TRY_VOID(may_sync());
    const std::uint64_t changes = unsynced_changes_;
    const int fd = fd_.get();
    int result = -EINTR;
    while (try_again(result)) {
      auto prepare = [fd](io_uring_sqe* entry) {
        io_uring_prep_fsync(entry, fd, IORING_FSYNC_DATASYNC);
      };
      result = co_await ring_.submit(std::move(prepare));
    }
    if (result < 0) co_return remember(fail(errno_error(-result, fmt::format("sync {}", name_))));
    synced_changes_ = changes;
    co_return Result<void>{};
  }

  // RWF_DSYNC covers the range of its own write only. While other writes are not durable yet, a
  // sync of the whole file has to follow instead.
  Task<Result<void>> do_write_durably(std::uint64_t position,
                                      std::vector<ByteView> pieces) override {
    CO_TRY_VOID(may_sync());
    if (synced_changes_ == unsynced_changes_) {
      auto outcome = co_await write_pieces(position, std::move(pieces), RWF_DSYNC);
      co_return remember(std::move(outcome));
    }
    auto written = co_await do_write(position, std::move(pieces));
    if (!written) co_return written;
    co_return co_await do_sync();
  }

  Task<Result<Bytes>> do_read(std::uint64_t position, std::size_t count) override {
    CO_TRY(const std::uint64_t end, size());
    if (position >= end) co_return Bytes{};
    Bytes bytes(static_cast<std::size_t>(std::min<std::uint64_t>(count, end - position)));
    const int fd = fd_.get();
    std::size_t got = 0;
    while (got < bytes.size()) {
      std::byte* into = bytes.data() + got;
      const auto left = static_cast<unsigned>(std::min<std::size_t>(bytes.size() - got, 1u << 30));
      const std::uint64_t at = position + got;
      auto prepare = [fd, into, left, at](io_uring_sqe* entry) {
        io_uring_prep_read(entry, fd, into, left, at);
      };
      const int result = co_await ring_.submit(std::move(prepare));
      if (try_again(result)) continue;
      if (result < 0) co_return fail(errno_error(-result, fmt::format("read {}", name_)));
      if (result == 0) break;
      got += static_cast<std::size_t>(result);
    }
    bytes.resize(got);
    co_return bytes;
  }

 private:
  Task<Result<void>> write_pieces(std::uint64_t position, std::vector<ByteView> pieces, int flags) {
    Gather left(pieces);
    const int fd = fd_.get();
    while (!left.done()) {
      const iovec* vectors = left.vectors();
      const unsigned count = left.count();
      auto prepare = [fd, vectors, count, position, flags](io_uring_sqe* entry) {
        io_uring_prep_writev2(entry, fd, vectors, count, position, flags);
      };
      const int result = co_await ring_.submit(std::move(prepare));
      if (try_again(result)) continue;
      if (result < 0) co_return fail(errno_error(-result, fmt::format("write {}", name_)));
      left.advance(static_cast<std::size_t>(result));
      position += static_cast<std::uint64_t>(result);
    }
    co_return Result<void>{};
  }

  Uring& ring_;
  // Counts begins and ends of plain writes, so a write that overlaps a sync is not taken as synced.
  std::uint64_t unsynced_changes_ = 1;  // A file that was just opened may hold unsynced bytes.
  std::uint64_t synced_changes_ = 0;
};

}  // namespace

std::unique_ptr<File> make_uring_file(Fd fd, std::string name, DiskParts& parts) {
  return std::make_unique<UringFile>(std::move(fd), std::move(name), parts);
}

}  // namespace qlab::runtime
