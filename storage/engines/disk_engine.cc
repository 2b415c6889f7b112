#include "storage/engines/disk_engine.h"

namespace qlab::storage {

Result<void> SegmentFile::sync_entry(runtime::Disk& disk) const {
  const std::size_t slash = path.rfind('/');
  return disk.sync_directory(slash == std::string::npos ? std::string() : path.substr(0, slash));
}

Task<Result<std::unique_ptr<Segment>>> DiskEngine::open(std::string path) {
  bool is_spare = false;
  if (spares_.is_started()) {
    CO_TRY(const bool there, runtime_.disk().exists(path));
    is_spare = !there && spares_.take(path);
  }
  Result<SegmentFile> file = co_await open_file(path, is_spare);
  if (file) co_return make_segment_(std::move(*file));
  // A file of that name would be taken for a segment that is full of zeros.
  if (is_spare) CO_TRY_VOID(runtime_.disk().remove(path));
  co_return fail(std::move(file).error());
}

Task<Result<SegmentFile>> DiskEngine::open_file(std::string path, bool is_spare) {
  const runtime::OpenOptions options{.io_path = io_path_, .create = true, .exclusive = false};
  SegmentFile file{.path = path, .file = {}, .size = 0, .end = 0};
  CO_TRY(file.file, co_await runtime_.disk().open(path, options));
  CO_TRY(file.end, file.file->size());
  if (!is_spare) file.size = file.end;
  co_return file;
}

Result<std::vector<std::string>> DiskEngine::list(std::string_view directory) {
  TRY(const bool there, runtime_.disk().exists(directory));
  if (!there) return std::vector<std::string>{};
  return runtime_.disk().list(directory);
}

Result<void> DiskEngine::remove(std::string_view path) {
  TRY(const bool given, spares_.give(path));
  if (given) return {};
  return runtime_.disk().remove(path);
}

}  // namespace qlab::storage
