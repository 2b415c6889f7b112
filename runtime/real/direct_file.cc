#include <algorithm>
#include <cerrno>

#include <sys/uio.h>

#include "runtime/direct_write.h"
#include "runtime/real/real_file.h"

namespace qlab::runtime {
namespace {

// One operation carries less than 2 GiB and keeps the alignment.
constexpr std::size_t call_bytes_max = 1u << 30;

// A read of more goes in several steps.
constexpr std::size_t bounce_bytes_max = 1u << 20;

bool try_again(int result) {
  return result == -EINTR || result == -EAGAIN;
}

std::uint64_t aligned_down(std::uint64_t value) {
  return value - value % direct_alignment;
}

std::uint64_t aligned_up(std::uint64_t value) {
  return aligned_down(value + direct_alignment - 1);
}

class DirectFile final : public RealFile {
 public:
  DirectFile(Fd fd, std::string name, DiskParts& parts)
      : RealFile(std::move(fd), std::move(name), parts),
        ring_(*parts.ring),
        registered_(ring_.tables(), fd_.get()) {}

 protected:
  Task<Result<void>> do_write(std::uint64_t position, std::vector<ByteView> pieces) override {
    if (!fd_.is_open()) co_return fail(Errc::closed, "write {}", name_);
    co_return co_await write_pieces(position, std::move(pieces), 0);
  }

  Task<Result<void>> do_sync() override {
    CO_TRY_VOID(may_sync());
    int result = -EINTR;
    while (try_again(result)) {
      auto prepare = [this](io_uring_sqe* entry) {
        io_uring_prep_fsync(entry, 0, IORING_FSYNC_DATASYNC);
        aim(entry);
      };
      result = co_await ring_.submit(std::move(prepare));
    }
    if (result < 0) co_return remember(fail(errno_error(-result, fmt::format("sync {}", name_))));
    co_return Result<void>{};
  }

  // A full disk refuses the write before anything is in doubt, and a misaligned one never starts;
  // every other error leaves the range unknown, as a failed sync does.
  Task<Result<void>> do_write_durably(std::uint64_t position,
                                      std::vector<ByteView> pieces) override {
    CO_TRY_VOID(may_sync());
    auto outcome = co_await write_pieces(position, std::move(pieces), RWF_DSYNC);
    if (outcome || outcome.error().code != Errc::io) co_return outcome;
    co_return remember(std::move(outcome));
  }

  Task<Result<Bytes>> do_read(std::uint64_t position, std::size_t count) override {
    CO_TRY(const std::uint64_t end, size());
    if (position >= end) co_return Bytes{};
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(count, end - position));
    Bytes bytes;
    bytes.reserve(wanted);
    while (bytes.size() < wanted) {
      CO_TRY(const bool more, co_await read_piece(position + bytes.size(), wanted, bytes));
      if (!more) break;
    }
    co_return bytes;
  }

  std::size_t write_unit() const override { return direct_alignment; }

  Result<void> before_close() override {
    registered_.leave();
    return {};
  }

 private:
  // Points an operation at this file.
  void aim(io_uring_sqe* entry) const {
    const bool fixed = registered_.number() != RingTables::none;
    entry->fd = fixed ? registered_.number() : fd_.get();
    if (fixed) entry->flags |= IOSQE_FIXED_FILE;
  }

  Task<Result<void>> write_pieces(std::uint64_t position, std::vector<ByteView> pieces, int flags) {
    CO_TRY_VOID(check_direct_write(name_, position, pieces));
    Gather left(pieces);
    while (!left.done()) {
      auto prepare = [this, &left, position, flags](io_uring_sqe* entry) {
        prepare_write(entry, left, position);
        entry->rw_flags = flags;
        aim(entry);
      };
      const int result = co_await ring_.submit(std::move(prepare));
      if (try_again(result)) continue;
      if (result < 0) co_return fail(errno_error(-result, fmt::format("write {}", name_)));
      // What follows a short write has to be aligned again.
      const std::uint64_t written = aligned_down(static_cast<std::uint64_t>(result));
      if (written == 0) {
        co_return fail(Errc::io, "write {}: {} bytes of {} at {}", name_, result, left.bytes_left(),
                       position);
      }
      left.advance(static_cast<std::size_t>(written));
      position += written;
    }
    co_return Result<void>{};
  }

  void prepare_write(io_uring_sqe* entry, const Gather& left, std::uint64_t position) const {
    const iovec* const first = left.vectors();
    const int buffer = left.count() == 1
                           ? ring_.tables()->find_buffer(first->iov_base, first->iov_len)
                           : RingTables::none;
    if (buffer == RingTables::none) {
      io_uring_prep_writev(entry, 0, first, left.count(), position);
    } else {
      const auto count =
          static_cast<unsigned>(std::min<std::size_t>(first->iov_len, call_bytes_max));
      io_uring_prep_write_fixed(entry, 0, first->iov_base, count, position, buffer);
    }
  }

  // Adds what lies at `position`, up to a buffer full, to `bytes`, which are to become `wanted`.
  // False at the end of the file.
  Task<Result<bool>> read_piece(std::uint64_t position, std::size_t wanted, Bytes& bytes) {
    const std::uint64_t start = aligned_down(position);
    const std::uint64_t end = aligned_up(position + wanted - bytes.size());
    const auto skipped = static_cast<std::size_t>(position - start);
    CO_TRY(const auto bounce, parts_.make_buffer(static_cast<std::size_t>(
                                  std::min<std::uint64_t>(end - start, bounce_bytes_max))));
    const std::span<std::byte> into = bounce->bytes();
    int result = -EINTR;
    while (try_again(result)) {
      auto prepare = [this, into, start](io_uring_sqe* entry) {
        prepare_read(entry, into, start);
        aim(entry);
      };
      result = co_await ring_.submit(std::move(prepare));
    }
    if (result < 0) co_return fail(errno_error(-result, fmt::format("read {}", name_)));
    const auto got = static_cast<std::size_t>(result);
    if (got <= skipped) {
      CO_TRY(const std::uint64_t now, size());
      if (position < now) co_return fail(Errc::io, "read {}: nothing at {}", name_, position);
      co_return false;
    }
    const auto fresh = into.subspan(skipped, std::min(got - skipped, wanted - bytes.size()));
    bytes.insert(bytes.end(), fresh.begin(), fresh.end());
    co_return true;
  }

  void prepare_read(io_uring_sqe* entry, std::span<std::byte> into, std::uint64_t start) const {
    const auto count = static_cast<unsigned>(into.size());
    const int buffer = ring_.tables()->find_buffer(into.data(), into.size());
    if (buffer == RingTables::none) {
      io_uring_prep_read(entry, 0, into.data(), count, start);
    } else {
      io_uring_prep_read_fixed(entry, 0, into.data(), count, start, buffer);
    }
  }

  Uring& ring_;
  RegisteredFile registered_;
};

}  // namespace

std::unique_ptr<File> make_direct_file(Fd fd, std::string name, DiskParts& parts) {
  return std::make_unique<DirectFile>(std::move(fd), std::move(name), parts);
}

}  // namespace qlab::runtime
