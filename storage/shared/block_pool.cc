#include "storage/shared/block_pool.h"

#include <sys/mman.h>

#include "common/check.h"

namespace qlab::storage::shared {

void* BlockPool::take() {
  if (free_.empty()) {
    const bool is_plain = chunks_.size() < plain_blocks;
    const std::size_t bytes = is_plain ? block_bytes_ : huge_page_bytes;
    chunks_.emplace_back(std::aligned_alloc(bytes, bytes));
    void* const chunk = chunks_.back().get();
    CHECK_MSG(chunk != nullptr, "no memory for another block");
    if (!is_plain) (void)::madvise(chunk, bytes, MADV_HUGEPAGE);  // Without it, it is slower.
    for (std::size_t at = bytes; at > 0; at -= block_bytes_) {
      free_.push_back(static_cast<std::byte*>(chunk) + at - block_bytes_);
    }
  }
  void* const block = free_.back();
  free_.pop_back();
  return block;
}

}  // namespace qlab::storage::shared
