#include <algorithm>

#include "storage/engines/factories.h"
#include "storage/engines/volatile_engine.h"

namespace qlab::storage {
namespace {

// Kept in blocks, so that growing never moves what is there.
class MemoryFile {
 public:
  void append(ByteView bytes) {
    while (!bytes.empty()) {
      if (size_ == blocks_.size() * block_bytes) {
        blocks_.push_back(std::make_unique_for_overwrite<std::byte[]>(block_bytes));
      }
      const std::size_t at = size_ % block_bytes;
      const std::size_t count = std::min(bytes.size(), block_bytes - at);
      std::copy_n(bytes.begin(), count, blocks_.back().get() + at);
      size_ += count;
      bytes = bytes.subspan(count);
    }
  }
  Result<Bytes> read(std::string_view, std::uint64_t position, std::size_t count) const {
    Bytes bytes;
    bytes.reserve(count);
    while (count > 0) {
      const std::size_t at = position % block_bytes;
      const std::size_t here = std::min(count, block_bytes - at);
      const std::byte* const from = blocks_[position / block_bytes].get() + at;
      bytes.insert(bytes.end(), from, from + here);
      position += here;
      count -= here;
    }
    return bytes;
  }
  void truncate(std::uint64_t size) {
    size_ = size;
    blocks_.resize((size + block_bytes - 1) / block_bytes);
  }
  std::uint64_t size() const { return size_; }

 private:
  static constexpr std::size_t block_bytes = 64u << 10;
  std::vector<std::unique_ptr<std::byte[]>> blocks_;
  std::uint64_t size_ = 0;  // The last block holds its end, unless it is empty.
};

}  // namespace

std::unique_ptr<Engine> make_memory_engine(runtime::Runtime&, const EngineOptions&) {
  return std::make_unique<VolatileEngine<MemoryFile>>("memory", true);
}

}  // namespace qlab::storage
