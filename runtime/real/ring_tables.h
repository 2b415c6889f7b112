#pragma once
// The files and buffers that a ring knows by number. An operation on them spares the kernel the
// look-up of a descriptor and the pinning of pages.

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <liburing.h>

#include "common/bytes.h"

namespace qlab::runtime {

// Being registered is never required: where a limit is met (RLIMIT_NOFILE, RLIMIT_MEMLOCK, a full
// table, a kernel without it) there is no number, and operations go on without one.
// Thread: the ring's. From another one, as at the end of a process, nothing is added, and what is
// removed keeps its number until the ring ends.
class RingTables {
 public:
  static constexpr unsigned files_max = 8192;
  static constexpr unsigned buffers_max = 1024;
  static constexpr int none = -1;  // Not a number: not registered.

  // Requires: `ring` is open until close().
  explicit RingTables(io_uring& ring);
  RingTables(const RingTables&) = delete;
  RingTables& operator=(const RingTables&) = delete;
  void close() { ring_ = nullptr; }

  int add_file(int fd);
  void remove_file(int number);  // `none` is none.
  int add_buffer(std::span<std::byte> memory);
  void remove_buffer(int number, std::span<std::byte> memory);
  // The buffer that all of these bytes lie in.
  int find_buffer(const void* first, std::size_t count) const;

 private:
  struct Buffer {
    std::size_t size;
    int number;
  };

  io_uring* ring_;  // Null once closed.
  std::vector<int> free_files_;
  std::vector<int> free_buffers_;
  std::map<const std::byte*, Buffer> buffers_;  // By address.
};

// An open file's place in the tables.
class RegisteredFile {
 public:
  RegisteredFile(std::shared_ptr<RingTables> tables, int fd)
      : tables_(std::move(tables)), number_(tables_->add_file(fd)) {}
  ~RegisteredFile() { leave(); }
  RegisteredFile(const RegisteredFile&) = delete;
  RegisteredFile& operator=(const RegisteredFile&) = delete;

  int number() const { return number_; }
  // The kernel holds the file open until then, whatever happens to its descriptor.
  void leave() { tables_->remove_file(std::exchange(number_, RingTables::none)); }

 private:
  const std::shared_ptr<RingTables> tables_;
  int number_;
};

}  // namespace qlab::runtime
