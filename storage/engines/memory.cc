#include <algorithm>

#include "common/check.h"
#include "storage/engines/factories.h"
#include "storage/engines/named_files.h"

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
  Bytes read(std::uint64_t position, std::size_t count) const {
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

class MemorySegment final : public Segment {
 public:
  MemorySegment(std::string path, std::shared_ptr<MemoryFile> file)
      : path_(std::move(path)), file_(std::move(file)) {}

  std::optional<Result<void>> try_append(ByteView bytes) override {
    Result<void> result = open();
    if (result) file_->append(bytes);
    return result;
  }
  Task<Result<void>> append(std::vector<ByteView> pieces) override {
    CO_TRY_VOID(open());
    for (const ByteView piece : pieces) file_->append(piece);
    co_return Result<void>{};
  }
  Task<Result<std::uint64_t>> sync() override {
    CO_TRY_VOID(open());
    durable_size_ = size();
    co_return durable_size_;
  }
  Task<Result<Bytes>> read(std::uint64_t position, std::size_t count) override {
    CO_TRY_VOID(open());
    if (position > size()) {
      co_return fail(Errc::out_of_range, "position {} of {}, which has {} bytes", position, path_,
                     size());
    }
    co_return file_->read(
        position, static_cast<std::size_t>(std::min<std::uint64_t>(count, size() - position)));
  }
  Task<Result<void>> truncate(std::uint64_t size) override {
    CO_TRY_VOID(open());
    CHECK(size <= file_->size());
    file_->truncate(size);
    durable_size_ = std::min(durable_size_, size);
    co_return Result<void>{};
  }
  Task<Result<void>> rewrite(std::uint64_t) override { co_return open(); }
  std::uint64_t size() const override { return file_->size(); }
  std::uint64_t durable_size() const override { return durable_size_; }
  Task<Result<void>> close() override {
    closed_ = true;
    co_return Result<void>{};
  }

 private:
  Result<void> open() const {
    if (closed_) return fail(Errc::closed, "{} is closed", path_);
    return {};
  }

  const std::string path_;
  const std::shared_ptr<MemoryFile> file_;
  std::uint64_t durable_size_ = 0;
  bool closed_ = false;
};

class MemoryEngine final : public Engine {
 public:
  std::string_view name() const override { return "memory"; }
  bool is_persistent() const override { return false; }

  Task<Result<std::unique_ptr<Segment>>> open(std::string path) override {
    std::shared_ptr<MemoryFile> file = files_.open(path);
    co_return std::make_unique<MemorySegment>(std::move(path), std::move(file));
  }
  Result<std::vector<std::string>> list(std::string_view directory) override {
    return files_.list(directory);
  }
  Result<void> remove(std::string_view path) override {
    files_.remove(path);
    return {};
  }

 private:
  NamedFiles<MemoryFile> files_;
};

}  // namespace

std::unique_ptr<Engine> make_memory_engine(runtime::Runtime&, const EngineOptions&) {
  return std::make_unique<MemoryEngine>();
}

}  // namespace qlab::storage
