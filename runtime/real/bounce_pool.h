#pragma once
// Aligned memory through which IoPath::direct reads. It is kept and used again: the first touch of
// fresh pages can cost more than the read.

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "runtime/real/ring_tables.h"

namespace qlab::runtime {

// Thread: the shard's.
class BouncePool {
 public:
  static constexpr std::size_t small_bytes = 64u << 10;
  static constexpr std::size_t large_bytes = 1u << 20;
  // How many of each size are kept and registered. Beyond that memory is made and given back each
  // time.
  static constexpr std::size_t kept_max = 16;

  struct Shelf {
    std::vector<std::unique_ptr<AlignedBuffer>> idle;
    std::size_t made = 0;  // Idle or lent; <= kept_max.
  };

  // A buffer for as long as this lives.
  class Lease {
   public:
    Lease(Shelf* shelf, std::unique_ptr<AlignedBuffer> buffer)
        : shelf_(shelf), buffer_(std::move(buffer)) {}
    Lease(Lease&&) noexcept = default;
    Lease& operator=(Lease&&) = delete;
    ~Lease() {
      if (buffer_ != nullptr && shelf_ != nullptr) shelf_->idle.push_back(std::move(buffer_));
    }
    std::span<std::byte> bytes() { return buffer_->bytes(); }

   private:
    Shelf* shelf_;  // Where it goes back to; null: nowhere.
    std::unique_ptr<AlignedBuffer> buffer_;
  };

  // At least `size` bytes, or large_bytes when that is less.
  Lease take(std::size_t size, const std::shared_ptr<RingTables>& tables) {
    const bool is_small = size <= small_bytes;
    Shelf& shelf = is_small ? small_ : large_;
    const std::size_t bytes = is_small ? small_bytes : large_bytes;
    if (!shelf.idle.empty()) {
      auto buffer = std::move(shelf.idle.back());
      shelf.idle.pop_back();
      return {&shelf, std::move(buffer)};
    }
    if (shelf.made == kept_max) return {nullptr, std::make_unique<AlignedBuffer>(bytes)};
    ++shelf.made;
    return {&shelf, std::make_unique<RegisteredBuffer>(bytes, tables)};
  }

 private:
  Shelf small_;
  Shelf large_;
};

}  // namespace qlab::runtime
