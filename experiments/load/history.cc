#include "experiments/load/history.h"

#include <cerrno>
#include <string>

namespace qlab::experiments {

GzipLines::~GzipLines() {
  if (file_ != nullptr) gzclose(file_);
}

Result<void> GzipLines::open(const std::filesystem::path& path) {
  file_ = gzopen(path.c_str(), "wb5");
  if (file_ == nullptr) return fail(errno_error(errno, path.string()));
  return {};
}

void GzipLines::write(std::string_view line) {
  if (file_ == nullptr) return;
  const auto size = static_cast<unsigned>(line.size());
  if (gzwrite(file_, line.data(), size) != static_cast<int>(size)) failed_ = true;
  if (gzputc(file_, '\n') < 0) failed_ = true;
}

void GzipLines::flush() {
  if (file_ != nullptr && gzflush(file_, Z_SYNC_FLUSH) != Z_OK) failed_ = true;
}

Result<void> GzipLines::close() {
  if (file_ == nullptr) return {};
  const int status = gzclose(file_);
  file_ = nullptr;
  if (failed_ || status != Z_OK) return fail(Errc::io, "a compressed file could not be written");
  return {};
}

}  // namespace qlab::experiments
