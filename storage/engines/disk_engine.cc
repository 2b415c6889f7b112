#include "storage/engines/disk_engine.h"

namespace qlab::storage {

Result<void> SegmentFile::sync_entry(runtime::Disk& disk) const {
  const std::size_t slash = path.rfind('/');
  return disk.sync_directory(slash == std::string::npos ? std::string() : path.substr(0, slash));
}

Task<Result<std::unique_ptr<Segment>>> DiskEngine::open(std::string path) {
  const runtime::OpenOptions options{.io_path = io_path_, .create = true, .exclusive = false};
  SegmentFile file{.path = path, .file = {}, .size = 0, .end = 0};
  CO_TRY(file.file, co_await runtime_.disk().open(path, options));
  CO_TRY(file.size, file.file->size());
  file.end = file.size;
  co_return make_segment_(std::move(file));
}

Result<std::vector<std::string>> DiskEngine::list(std::string_view directory) {
  TRY(const bool there, runtime_.disk().exists(directory));
  if (!there) return std::vector<std::string>{};
  return runtime_.disk().list(directory);
}

Result<void> DiskEngine::remove(std::string_view path) {
  return runtime_.disk().remove(path);
}

}  // namespace qlab::storage
