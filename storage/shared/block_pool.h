#pragma once
// Memory for blocks of one size, side by side in huge pages once there are many.
//
// What is looked up at random in some hundred megabytes costs a walk of the page tables each time,
// in a virtual machine one of the host's as well, which takes longer than the miss of the cache.
// With huge pages a few hundred entries of the TLB reach everything.

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <vector>

namespace qlab::storage::shared {

// Thread: one at a time.
class BlockPool {
 public:
  // Requires: `block_bytes` divides huge_page_bytes.
  explicit BlockPool(std::size_t block_bytes) : block_bytes_(block_bytes) {}
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  // Raw memory, aligned to its size. It goes with the pool at the latest.
  void* take();
  // For the next one who takes. The system gets it back with the pool alone.
  void give_back(void* block) { free_.push_back(block); }

 private:
  static constexpr std::size_t huge_page_bytes = 2u << 20;
  static constexpr std::size_t plain_blocks = 8;  // The first ones come one by one.
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };

  const std::size_t block_bytes_;
  std::vector<std::unique_ptr<void, Free>> chunks_;
  std::vector<void*> free_;
};

}  // namespace qlab::storage::shared
