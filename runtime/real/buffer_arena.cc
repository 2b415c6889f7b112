#include "runtime/real/buffer_arena.h"

#include <algorithm>
#include <cerrno>
#include <optional>

#include <sys/mman.h>

#include "common/check.h"

namespace qlab::runtime {
namespace {

std::size_t align_up(std::size_t value, std::size_t unit) {
  return (value + unit - 1) / unit * unit;
}

// Whole huge pages, at the address of one. Null when there is no memory.
std::byte* map_huge_pages(std::size_t size) {
  constexpr std::size_t unit = BufferArena::chunk_bytes;
  void* const map =
      ::mmap(nullptr, size + unit, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED) return nullptr;
  auto* const first = static_cast<std::byte*>(map);
  const std::size_t before = align_up(reinterpret_cast<std::uintptr_t>(first), unit) -
                             reinterpret_cast<std::uintptr_t>(first);
  if (before > 0) ::munmap(first, before);
  if (before < unit) ::munmap(first + before + size, unit - before);
  (void)::madvise(first + before, size, MADV_HUGEPAGE);  // Small pages are slower, not wrong.
  return first + before;
}

}  // namespace

// Some huge pages, and which parts of them are free.
class BufferArena::Chunk {
 public:
  Chunk(std::byte* memory, std::size_t size, std::shared_ptr<RingTables> tables)
      : memory_(memory, size), tables_(std::move(tables)) {
    free_[0] = size;
    if (tables_ != nullptr) number_ = tables_->add_buffer(memory_);
  }
  ~Chunk() {
    if (tables_ != nullptr) tables_->remove_buffer(number_, memory_);
    ::munmap(memory_.data(), memory_.size());
  }
  Chunk(const Chunk&) = delete;
  Chunk& operator=(const Chunk&) = delete;

  bool is_idle() const { return free_.size() == 1 && free_.begin()->second == memory_.size(); }

  // The first part that is large enough.
  std::optional<std::span<std::byte>> take(std::size_t size) {
    const auto found =
        std::ranges::find_if(free_, [&](const auto& part) { return part.second >= size; });
    if (found == free_.end()) return std::nullopt;
    const auto [at, length] = *found;
    free_.erase(found);
    if (length > size) free_[at + size] = length - size;
    return memory_.subspan(at, size);
  }

  void give_back(std::span<std::byte> part) {
    const auto at = static_cast<std::size_t>(part.data() - memory_.data());
    const auto [here, added] = free_.emplace(at, part.size());
    CHECK(added);
    const auto next = std::next(here);
    if (next != free_.end() && at + here->second == next->first) {
      here->second += next->second;
      free_.erase(next);
    }
    if (here == free_.begin()) return;
    const auto before = std::prev(here);
    if (before->first + before->second == at) {
      before->second += here->second;
      free_.erase(here);
    }
  }

 private:
  const std::span<std::byte> memory_;
  const std::shared_ptr<RingTables> tables_;
  int number_ = RingTables::none;
  std::map<std::size_t, std::size_t> free_;  // Where -> how much; no two are neighbours.
};

class BufferArena::Buffer final : public IoBuffer {
 public:
  Buffer(std::shared_ptr<Chunk> chunk, std::span<std::byte> bytes)
      : chunk_(std::move(chunk)), bytes_(bytes) {}
  ~Buffer() override { chunk_->give_back(bytes_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  std::span<std::byte> bytes() override { return bytes_; }

 private:
  const std::shared_ptr<Chunk> chunk_;
  const std::span<std::byte> bytes_;
};

Result<std::unique_ptr<IoBuffer>> BufferArena::make(std::size_t size,
                                                    const std::shared_ptr<RingTables>& tables) {
  CHECK(size > 0);
  CHECK(size % direct_alignment == 0);
  for (const auto& chunk : chunks_) {
    if (const auto part = chunk->take(size)) return std::make_unique<Buffer>(chunk, *part);
  }
  drop_idle();
  const std::size_t bytes = align_up(size, chunk_bytes);
  std::byte* const memory = map_huge_pages(bytes);
  if (memory == nullptr) return fail(Errc::no_space, "no memory for a buffer of {} bytes", size);
  chunks_.push_back(std::make_shared<Chunk>(memory, bytes, tables));
  const auto part = chunks_.back()->take(size);
  return std::make_unique<Buffer>(chunks_.back(), *part);
}

// Those that are there and too small may go for one that is larger.
void BufferArena::drop_idle() {
  std::size_t idle = 0;
  std::erase_if(chunks_,
                [&](const auto& chunk) { return chunk->is_idle() && ++idle > idle_chunks_max; });
}

}  // namespace qlab::runtime
