#include <algorithm>

#include "common/check.h"
#include "storage/engines/factories.h"
#include "storage/engines/named_files.h"

namespace qlab::storage {
namespace {

struct NullFile {
  std::uint64_t size = 0;
};

// Counts bytes and drops them. A read is an error and not a buffer of zeros: whoever checks what it
// reads would call zeros corrupt, and whoever does not would believe them.
class NullSegment final : public Segment {
 public:
  NullSegment(std::string path, std::shared_ptr<NullFile> file)
      : path_(std::move(path)), file_(std::move(file)) {}

  Task<Result<void>> append(std::vector<ByteView> pieces) override {
    CO_TRY_VOID(open());
    for (const ByteView piece : pieces) file_->size += piece.size();
    co_return Result<void>{};
  }
  std::optional<Result<void>> try_append(ByteView bytes) override {
    Result<void> result = open();
    if (result) file_->size += bytes.size();
    return result;
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
    if (position == size() || count == 0) co_return Bytes{};
    co_return fail(Errc::unsupported, "{}: engine null keeps no bytes that could be read", path_);
  }
  Task<Result<void>> truncate(std::uint64_t size) override {
    CO_TRY_VOID(open());
    CHECK(size <= file_->size);
    file_->size = size;
    durable_size_ = std::min(durable_size_, size);
    co_return Result<void>{};
  }
  Task<Result<void>> rewrite(std::uint64_t) override { co_return open(); }
  std::uint64_t size() const override { return file_->size; }
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
  const std::shared_ptr<NullFile> file_;
  std::uint64_t durable_size_ = 0;
  bool closed_ = false;
};

class NullEngine final : public Engine {
 public:
  std::string_view name() const override { return "null"; }
  bool is_persistent() const override { return false; }
  bool keeps_bytes() const override { return false; }

  Task<Result<std::unique_ptr<Segment>>> open(std::string path) override {
    auto file = files_.open(path);
    co_return std::make_unique<NullSegment>(std::move(path), std::move(file));
  }
  Result<std::vector<std::string>> list(std::string_view directory) override {
    return files_.list(directory);
  }
  Result<void> remove(std::string_view path) override {
    files_.remove(path);
    return {};
  }

 private:
  NamedFiles<NullFile> files_;
};

}  // namespace

std::unique_ptr<Engine> make_null_engine(runtime::Runtime&, const EngineOptions&) {
  return std::make_unique<NullEngine>();
}

}  // namespace qlab::storage
