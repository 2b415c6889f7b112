#include "storage/cold_reader.h"

namespace qlab::storage {

Task<Result<void>> ColdReader::open(std::string path) {
  const runtime::OpenOptions options{
      .io_path = runtime::IoPath::direct, .create = false, .exclusive = false};
  auto file = co_await runtime_.disk().open(std::move(path), options);
  if (file) file_ = std::move(*file);
  if (!file && file.error().code != Errc::unsupported) co_return fail(std::move(file).error());
  co_return Result<void>{};
}

Task<Result<void>> ColdReader::close() {
  if (!file_) co_return Result<void>{};
  const std::unique_ptr<runtime::File> file = std::move(file_);
  co_return co_await file->close();
}

ReadAhead ColdReader::read(std::uint64_t from, std::uint64_t end) const {
  if (file_) return {runtime_, *file_, from, end};
  return {runtime_, segment_, from, end};
}

Task<Result<bool>> ColdReader::is_zero(std::uint64_t from, std::uint64_t end) const {
  ReadAhead ahead = read(from, end);
  co_return co_await storage::is_zero(ahead);
}

}  // namespace qlab::storage
