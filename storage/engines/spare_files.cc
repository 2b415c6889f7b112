#include "storage/engines/spare_files.h"

#include <algorithm>

#include "common/check.h"
#include "common/logging.h"

namespace qlab::storage {
namespace {

constexpr std::uint64_t block_bytes = runtime::direct_alignment;
constexpr std::size_t zeroed_at_once = 1u << 20;

std::uint64_t whole_blocks(std::uint64_t bytes) {
  return (bytes + block_bytes - 1) / block_bytes * block_bytes;
}

}  // namespace

SpareFiles::SpareFiles(runtime::Runtime& runtime, runtime::IoPath io_path, EngineOptions options)
    : runtime_(runtime),
      fill_path_(io_path == runtime::IoPath::direct ? io_path : runtime::IoPath::blocking),
      options_(std::move(options)),
      bytes_(whole_blocks(options_.prepared_bytes)),
      background_(runtime) {}

std::string SpareFiles::next_path() {
  return fmt::format("{}/{}", options_.spare_directory, ++made_);
}

Task<Result<void>> SpareFiles::start() {
  CHECK(!started_);
  if (options_.preallocation == Preallocation::none || options_.spares == 0) {
    co_return Result<void>{};
  }
  CO_TRY_VOID(remove_remains());
  started_ = true;
  Result<void> made;
  while (made && ready_.size() < options_.spares) made = co_await make(next_path());
  co_return made;
}

Result<void> SpareFiles::remove_remains() {
  runtime::Disk& disk = runtime_.disk();
  TRY_VOID(disk.make_directories(options_.spare_directory));
  TRY(const std::vector<std::string> names, disk.list(options_.spare_directory));
  for (const std::string& name : names) {
    TRY_VOID(disk.remove(fmt::format("{}/{}", options_.spare_directory, name)));
  }
  return disk.sync_directory(options_.spare_directory);
}

Task<void> SpareFiles::stop() {
  stopping_ = true;
  co_await background_.close();
  if (!started_) co_return;
  started_ = false;
  for (const auto* paths : {&ready_, &given_}) {
    for (const std::string& path : *paths) {
      [[maybe_unused]] const Result<void> removed = runtime_.disk().remove(path);  // Or at a start.
    }
  }
}

bool SpareFiles::take(std::string_view path) {
  if (!started_ || ready_.empty()) return false;
  const std::string spare = std::move(ready_.front());
  ready_.pop_front();
  failed_ = false;
  work_later();
  const Result<void> renamed = runtime_.disk().rename(spare, path);
  if (!renamed) drop(spare, renamed.error());
  return renamed.has_value();
}

Result<bool> SpareFiles::give(std::string_view path) {
  const bool wanted = started_ && options_.preallocation == Preallocation::recycled &&
                      given_.size() < options_.spares;
  if (!wanted) return false;
  std::string spare = next_path();
  const Result<void> renamed = runtime_.disk().rename(path, spare);
  if (!renamed) return false;
  // Now, because who removes a segment syncs the directory that it was in, if any.
  TRY_VOID(runtime_.disk().sync_directory(options_.spare_directory));
  given_.push_back(std::move(spare));
  failed_ = false;
  work_later();
  return true;
}

void SpareFiles::work_later() {
  if (stopping_ || std::exchange(working_, true)) return;
  background_.start([this] { return work(); });
}

// Until there is nothing left to do.
Task<void> SpareFiles::work() {
  while (!stopping_) {
    const bool wanted = ready_.size() < options_.spares && !failed_;
    if (given_.empty() && !wanted) break;
    if (!given_.empty()) {
      std::string path = std::move(given_.front());
      given_.pop_front();
      co_await renew(std::move(path));
    } else {
      [[maybe_unused]] const Result<void> made = co_await make(next_path());  // See failed_.
    }
  }
  working_ = false;
}

Task<Result<void>> SpareFiles::make(std::string path) {
  const Result<void> filled = co_await fill_new(path);
  if (filled) {
    ready_.push_back(std::move(path));
  } else {
    failed_ = true;
    drop(path, filled.error());
  }
  co_return filled;
}

Task<Result<void>> SpareFiles::fill_new(std::string path) {
  const runtime::OpenOptions options{.io_path = fill_path_, .create = true, .exclusive = true};
  CO_TRY(const auto file, co_await runtime_.disk().open(path, options));
  const bool extents = options_.preallocation == Preallocation::extents;
  const auto fill = extents ? runtime::Fill::extents : runtime::Fill::zeros;
  const Result<void> prepared = co_await file->prepare(bytes_, fill);
  const Result<void> closed = co_await file->close();
  CO_TRY_VOID(prepared);
  co_return closed;
}

// A file that is no good as a spare goes, and a new one is made in its place.
Task<void> SpareFiles::renew(std::string path) {
  Result<void> zeroed;
  if (ready_.size() < options_.spares) {
    zeroed = co_await zero(path);
  } else {
    zeroed = fail(Errc::overloaded, "there are {} spares", options_.spares);
  }
  if (zeroed) {
    ready_.push_back(std::move(path));
  } else {
    drop(path, zeroed.error());
  }
}

Task<Result<void>> SpareFiles::zero(std::string path) {
  // Past the page cache, which has better things to hold.
  const runtime::OpenOptions options{
      .io_path = runtime::IoPath::direct, .create = false, .exclusive = false};
  CO_TRY(const auto file, co_await runtime_.disk().open(path, options));
  CO_TRY(const std::uint64_t size, file->size());
  Result<void> done;
  // Most of the blocks would be new ones.
  if (size < bytes_ / 2) done = fail(Errc::invalid, "{} has only {} bytes", path, size);
  if (done && size > bytes_) done = co_await file->truncate(bytes_);
  CO_TRY(const auto zeros, runtime_.disk().make_buffer(zeroed_at_once));
  std::fill(zeros->bytes().begin(), zeros->bytes().end(), std::byte{0});
  const std::uint64_t end = whole_blocks(std::min(size, bytes_));
  for (std::uint64_t at = 0; done && !stopping_ && at < end; at += zeroed_at_once) {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(end - at, zeroed_at_once));
    done = co_await file->write(at, std::vector<ByteView>(1, zeros->bytes().first(count)));
  }
  if (done && stopping_) done = fail(Errc::aborted, "it is not needed any more");
  if (done) done = co_await file->sync();
  if (done) done = co_await file->prepare(bytes_, runtime::Fill::zeros);
  const Result<void> closed = co_await file->close();
  CO_TRY_VOID(done);
  co_return closed;
}

void SpareFiles::drop(std::string_view path, const Error& why) {
  log(LogLevel::debug, "storage", "{} does not become a spare: {}", path, why.message());
  [[maybe_unused]] const Result<void> removed = runtime_.disk().remove(path);  // Or at a start.
}

}  // namespace qlab::storage
