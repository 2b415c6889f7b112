#include "runtime/real/directory_lock.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/file.h>

namespace qlab::runtime {

Result<DirectoryLock> lock_directory(const std::filesystem::path& directory) {
  const std::string path = directory / ".lock";
  TRY(Fd file, open_fd(path, O_RDWR | O_CREAT));
  if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) return DirectoryLock(std::move(file));
  if (errno == EWOULDBLOCK) {
    return fail(Errc::exists, "directory {} is in use by another process, which holds {}",
                directory.string(), path);
  }
  return fail(errno_error(errno, fmt::format("lock {}", path)));
}

}  // namespace qlab::runtime
