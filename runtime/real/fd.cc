#include "runtime/real/fd.h"

#include <algorithm>
#include <cerrno>
#include <climits>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/check.h"

namespace qlab::runtime {

Result<void> Fd::close() {
  const int number = std::exchange(number_, -1);
  // EINTR included: Linux releases the descriptor first, and a second close could hit another's.
  if (number >= 0 && ::close(number) != 0) return fail(errno_error(errno, "close"));
  return {};
}

Result<Fd> open_fd(const std::string& path, int flags, unsigned mode) {
  for (;;) {
    const int number = ::open(path.c_str(), flags | O_CLOEXEC, mode);
    if (number >= 0) return Fd(number);
    if (errno != EINTR) return fail(errno_error(errno, fmt::format("open {}", path)));
  }
}

namespace {

const std::byte* end_of(const iovec& vector) {
  return static_cast<const std::byte*>(vector.iov_base) + vector.iov_len;
}

}  // namespace

Gather::Gather(const std::vector<ByteView>& pieces) {
  vectors_.reserve(pieces.size());
  for (const ByteView piece : pieces) {
    if (piece.empty()) continue;
    bytes_left_ += piece.size();
    if (!vectors_.empty() && end_of(vectors_.back()) == piece.data()) {
      vectors_.back().iov_len += piece.size();
    } else {
      vectors_.push_back({const_cast<std::byte*>(piece.data()), piece.size()});
    }
  }
}

unsigned Gather::count() const {
  return static_cast<unsigned>(std::min<std::size_t>(vectors_.size() - first_, IOV_MAX));
}

void Gather::advance(std::size_t written) {
  CHECK(written <= bytes_left_);
  bytes_left_ -= written;
  while (written > 0) {
    iovec& next = vectors_[first_];
    const std::size_t taken = std::min(written, next.iov_len);
    next.iov_base = static_cast<std::byte*>(next.iov_base) + taken;
    next.iov_len -= taken;
    written -= taken;
    if (next.iov_len == 0) ++first_;
  }
}

Result<void> write_all(int fd, std::uint64_t position, const std::vector<ByteView>& pieces,
                       std::string_view what) {
  Gather left(pieces);
  while (!left.done()) {
    const ssize_t written =
        ::pwritev(fd, left.vectors(), static_cast<int>(left.count()), static_cast<off_t>(position));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail(errno_error(errno, fmt::format("write {}", what)));
    left.advance(static_cast<std::size_t>(written));
    position += static_cast<std::uint64_t>(written);
  }
  return {};
}

Result<Bytes> read_up_to(int fd, std::uint64_t position, std::size_t count, std::string_view what) {
  TRY(const std::uint64_t size, size_of(fd, what));
  if (position >= size) return Bytes{};
  Bytes bytes(static_cast<std::size_t>(std::min<std::uint64_t>(count, size - position)));
  std::size_t got = 0;
  while (got < bytes.size()) {
    const ssize_t read =
        ::pread(fd, bytes.data() + got, bytes.size() - got, static_cast<off_t>(position + got));
    if (read < 0 && errno == EINTR) continue;
    if (read < 0) return fail(errno_error(errno, fmt::format("read {}", what)));
    if (read == 0) break;
    got += static_cast<std::size_t>(read);
  }
  bytes.resize(got);
  return bytes;
}

Result<void> allocate(int fd, std::uint64_t from, std::uint64_t to, std::string_view what) {
  int error = EINTR;
  while (error == EINTR) {
    error = ::posix_fallocate(fd, static_cast<off_t>(from), static_cast<off_t>(to - from));
  }
  if (error != 0) return fail(errno_error(error, fmt::format("allocate {}", what)));
  return {};
}

Result<std::uint64_t> size_of(int fd, std::string_view what) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return fail(errno_error(errno, fmt::format("stat {}", what)));
  return static_cast<std::uint64_t>(status.st_size);
}

}  // namespace qlab::runtime
