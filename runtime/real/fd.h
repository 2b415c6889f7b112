#pragma once
// A file descriptor that closes itself, and the two loops that finish what the kernel did in part.

#include <string>
#include <utility>
#include <vector>

#include <sys/uio.h>

#include "common/bytes.h"

namespace qlab::runtime {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int number) : number_(number) {}
  Fd(Fd&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Fd() { (void)close(); }

  int get() const { return number_; }
  bool is_open() const { return number_ >= 0; }
  // Errors: what close(2) says; the descriptor is gone in any case.
  Result<void> close();

 private:
  int number_ = -1;
};

// open(2) with O_CLOEXEC, tried again after EINTR. `flags` and `mode` as there.
Result<Fd> open_fd(const std::string& path, int flags, unsigned mode = 0644);

// What is still to be written of some pieces, in the kernel's form.
class Gather {
 public:
  explicit Gather(const std::vector<ByteView>& pieces);
  bool done() const { return first_ == vectors_.size(); }
  const iovec* vectors() const { return vectors_.data() + first_; }
  unsigned count() const;  // At most what one call may carry.
  std::size_t bytes_left() const { return bytes_left_; }
  void advance(std::size_t written);  // Requires: written <= bytes_left().

 private:
  std::vector<iovec> vectors_;  // No empty ones; neighbours in memory are one.
  std::size_t first_ = 0;
  std::size_t bytes_left_ = 0;
};

// All of it at `position`, continuing after short writes. `what` names the file in errors.
Result<void> write_all(int fd, std::uint64_t position, const std::vector<ByteView>& pieces,
                       std::string_view what);

// Up to `count` bytes; fewer only at the end of the file.
Result<Bytes> read_up_to(int fd, std::uint64_t position, std::size_t count, std::string_view what);

// Space for [from, to), as zeros; the file is at least `to` long then. Errors: no_space, io.
Result<void> allocate(int fd, std::uint64_t from, std::uint64_t to, std::string_view what);

Result<std::uint64_t> size_of(int fd, std::string_view what);

}  // namespace qlab::runtime
