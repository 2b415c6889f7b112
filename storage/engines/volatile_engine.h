#pragma once
// Engines without a disk: what they take is gone with the engine object, and nothing can fail.
//
// `File` is what stands for a file: append(), truncate(), size(), and
// `Result<Bytes> read(path, position, count)` of bytes that lie below size().

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/check.h"
#include "storage/engine.h"

namespace qlab::storage {

template <class File>
class VolatileSegment final : public Segment {
 public:
  VolatileSegment(std::string path, std::shared_ptr<File> file)
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
    const auto there = static_cast<std::size_t>(std::min<std::uint64_t>(count, size() - position));
    if (there == 0) co_return Bytes{};
    co_return file_->read(path_, position, there);
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
  const std::shared_ptr<File> file_;
  std::uint64_t durable_size_ = 0;
  bool closed_ = false;
};

template <class File>
class VolatileEngine final : public Engine {
 public:
  VolatileEngine(std::string_view name, bool keeps_bytes)
      : name_(name), keeps_bytes_(keeps_bytes) {}
  std::string_view name() const override { return name_; }
  bool is_persistent() const override { return false; }
  bool keeps_bytes() const override { return keeps_bytes_; }

  // A removed file lives on for who has it open.
  Task<Result<std::unique_ptr<Segment>>> open(std::string path) override {
    std::shared_ptr<File>& file = files_[path];
    if (!file) file = std::make_shared<File>();
    co_return std::make_unique<VolatileSegment<File>>(std::move(path), file);
  }
  Result<std::vector<std::string>> list(std::string_view directory) override {
    std::vector<std::string> names;
    for (const auto& [path, file] : files_) {
      const std::size_t slash = path.rfind('/');
      const std::string_view parent =
          slash == std::string::npos ? std::string_view{} : std::string_view(path).substr(0, slash);
      if (parent == directory) names.push_back(path.substr(slash + 1));
    }
    return names;
  }
  Result<void> remove(std::string_view path) override {
    if (const auto found = files_.find(path); found != files_.end()) files_.erase(found);
    return {};
  }

 private:
  const std::string_view name_;
  const bool keeps_bytes_;
  std::map<std::string, std::shared_ptr<File>, std::less<>> files_;  // By path.
};

}  // namespace qlab::storage
