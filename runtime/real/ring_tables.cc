#include "runtime/real/ring_tables.h"

#include <algorithm>
#include <numeric>

#include <sys/resource.h>

namespace qlab::runtime {
namespace {

// 0 .. count - 1, the lowest last, where it is taken from.
std::vector<int> numbers_below(unsigned count) {
  std::vector<int> numbers(count);
  std::iota(numbers.rbegin(), numbers.rend(), 0);
  return numbers;
}

// The kernel refuses a table beyond the limit of open files.
unsigned file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  return static_cast<unsigned>(std::min<rlim_t>(limit.rlim_cur, RingTables::files_max));
}

}  // namespace

RingTables::RingTables(io_uring& ring) : ring_(&ring) {
  const unsigned files = file_limit();
  if (io_uring_register_files_sparse(ring_, files) == 0) free_files_ = numbers_below(files);
  if (io_uring_register_buffers_sparse(ring_, buffers_max) == 0) {
    free_buffers_ = numbers_below(buffers_max);
  }
}

int RingTables::add_file(int fd) {
  if (ring_ == nullptr || free_files_.empty()) return none;
  const int number = free_files_.back();
  if (io_uring_register_files_update(ring_, static_cast<unsigned>(number), &fd, 1) != 1) {
    return none;
  }
  free_files_.pop_back();
  return number;
}

void RingTables::remove_file(int number) {
  if (ring_ == nullptr || number == none) return;
  const int nothing = -1;
  const int removed =
      io_uring_register_files_update(ring_, static_cast<unsigned>(number), &nothing, 1);
  if (removed == 1) free_files_.push_back(number);
}

int RingTables::add_buffer(std::span<std::byte> memory) {
  if (ring_ == nullptr || free_buffers_.empty()) return none;
  const int number = free_buffers_.back();
  const iovec place{memory.data(), memory.size()};
  const int added = io_uring_register_buffers_update_tag(ring_, static_cast<unsigned>(number),
                                                         &place, nullptr, 1);
  if (added != 1) return none;
  free_buffers_.pop_back();
  buffers_[memory.data()] = {memory.size(), number};
  return number;
}

void RingTables::remove_buffer(int number, std::span<std::byte> memory) {
  if (ring_ == nullptr || number == none) return;
  buffers_.erase(memory.data());
  const iovec nothing{};
  const int removed = io_uring_register_buffers_update_tag(ring_, static_cast<unsigned>(number),
                                                           &nothing, nullptr, 1);
  if (removed == 1) free_buffers_.push_back(number);
}

int RingTables::find_buffer(const void* first, std::size_t count) const {
  const auto* const begin = static_cast<const std::byte*>(first);
  const auto after = buffers_.upper_bound(begin);
  if (after == buffers_.begin()) return none;
  const auto& [start, buffer] = *std::prev(after);
  return begin + count <= start + buffer.size ? buffer.number : none;
}

}  // namespace qlab::runtime
