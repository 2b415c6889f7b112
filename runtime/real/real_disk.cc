#include "runtime/real/real_disk.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/async.h"
#include "runtime/real/fd.h"
#include "runtime/real/real_file.h"

namespace qlab::runtime {
namespace {

namespace fs = std::filesystem;

Result<void> sync_path(const fs::path& directory) {
  TRY(Fd fd, open_fd(directory, O_RDONLY | O_DIRECTORY));
  if (::fsync(fd.get()) != 0) {
    return fail(errno_error(errno, fmt::format("sync {}", directory.string())));
  }
  return fd.close();
}

Result<void> write_new_file(const fs::path& path, ByteView bytes) {
  TRY(Fd fd, open_fd(path, O_WRONLY | O_CREAT | O_TRUNC));
  TRY_VOID(write_all(fd.get(), 0, {bytes}, path.string()));
  if (::fsync(fd.get()) != 0) {
    return fail(errno_error(errno, fmt::format("sync {}", path.string())));
  }
  return fd.close();
}

Result<void> set_direct(int fd, const fs::path& path) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags >= 0 && ::fcntl(fd, F_SETFL, flags | O_DIRECT) == 0) return {};
  if (errno != EINVAL) return fail(errno_error(errno, fmt::format("fcntl {}", path.string())));
  return fail(
      Errc::unsupported,
      "{} is on a file system without O_DIRECT; choose an engine that goes through the page "
      "cache (buffered, uring, mmap) or another data directory",
      path.string());
}

}  // namespace

Result<fs::path> RealDisk::resolve(std::string_view path) const {
  const fs::path relative(path);
  if (relative.is_absolute()) return fail(Errc::invalid, "path {} is not relative", path);
  for (const fs::path& word : relative) {
    if (word == "..") return fail(Errc::invalid, "path {} leaves the data directory", path);
  }
  return relative.empty() ? root_ : root_ / relative;
}

Result<void> RealDisk::pass(DiskOperation operation, std::string_view path) const {
  const DiskFault fault = parts_.ask(operation, path);
  if (fault.error == 0) return {};
  return fail(errno_error(fault.error, fmt::format("{} (injected)", path)));
}

Task<Result<std::unique_ptr<File>>> RealDisk::open(std::string path, OpenOptions options) {
  CO_TRY(const fs::path full, resolve(path));
  CO_TRY_VOID(pass(DiskOperation::open, path));
  int flags = O_RDWR;
  if (options.create) flags |= O_CREAT;
  if (options.create && options.exclusive) flags |= O_EXCL;
  const bool direct = options.io_path == IoPath::direct;
  const bool in_ring = direct || options.io_path == IoPath::uring;
  if (in_ring) CO_TRY_VOID(parts_.open_ring());
  CO_TRY_VOID(watch_filesystem());
  CO_TRY(Fd fd, open_fd(full, flags));
  if (direct) {
    CO_TRY_VOID(set_direct(fd.get(), full));
    co_return make_direct_file(std::move(fd), std::move(path), parts_);
  }
  if (options.io_path == IoPath::mapped) {
    co_return make_mapped_file(std::move(fd), std::move(path), parts_);
  }
  if (in_ring) co_return make_uring_file(std::move(fd), std::move(path), parts_);
  co_return make_blocking_file(std::move(fd), std::move(path), parts_);
}

Result<void> DiskParts::open_ring() {
  if (ring != nullptr) return {};
  TRY(ring, Uring::open(runtime.executor()));
  return {};
}

// Where there is no ring it is memory all the same.
Result<std::unique_ptr<IoBuffer>> RealDisk::make_buffer(std::size_t size) {
  (void)parts_.open_ring();
  return parts_.make_buffer(size);
}

// The kernel tells an error of the file system's once to each descriptor that was open before it,
// so one is held from before the first write on: a sync by another shard or process takes no error
// of ours away.
Result<void> RealDisk::watch_filesystem() {
  if (filesystem_.is_open()) return {};
  TRY(filesystem_, open_fd(root_, O_RDONLY | O_DIRECTORY));
  return {};
}

Task<Result<void>> RealDisk::sync_filesystem() {
  if (parts_.filesystem_failure) co_return fail(*parts_.filesystem_failure);
  const DiskFault fault = parts_.ask(DiskOperation::sync_filesystem, "");
  if (fault.delay > Duration::zero()) co_await sleep_for(parts_.runtime, fault.delay);
  CO_TRY_VOID(watch_filesystem());
  int error = fault.error;
  if (error == 0) {
    auto job = [number = filesystem_.get()] { return ::syncfs(number) == 0 ? 0 : errno; };
    error = co_await parts_.helper.run(std::move(job));
  }
  // One that failed meanwhile may have had the error of this one too.
  if (parts_.filesystem_failure) co_return fail(*parts_.filesystem_failure);
  if (error != 0) {
    parts_.filesystem_failure = errno_error(error, fmt::format("syncfs {}", root_.string()));
    co_return fail(*parts_.filesystem_failure);
  }
  co_return Result<void>{};
}

Result<std::vector<std::string>> RealDisk::list(std::string_view directory) {
  TRY(const fs::path full, resolve(directory));
  std::error_code error;
  std::vector<std::string> names;
  fs::directory_iterator entry(full, error);
  while (!error && entry != fs::directory_iterator()) {
    names.push_back(entry->path().filename().string());
    entry.increment(error);
  }
  if (error) return fail(errno_error(error.value(), fmt::format("list {}", full.string())));
  std::sort(names.begin(), names.end());
  return names;
}

Result<bool> RealDisk::exists(std::string_view path) {
  TRY(const fs::path full, resolve(path));
  struct stat status {};
  if (::stat(full.c_str(), &status) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  return fail(errno_error(errno, fmt::format("stat {}", full.string())));
}

// A directory that is there may have been made just before a crash, so its entry is synced too.
Result<void> RealDisk::make_directory(std::string_view directory) {
  TRY(const fs::path full, resolve(directory));
  TRY_VOID(pass(DiskOperation::make_directory, directory));
  if (::mkdir(full.c_str(), 0755) == 0) return {};
  const int number = errno;
  std::error_code looked;  // Of a disk that refuses even this.
  if (number == EEXIST && fs::is_directory(full, looked)) return {};
  return fail(
      errno_error(looked ? looked.value() : number, fmt::format("mkdir {}", full.string())));
}

Result<void> RealDisk::make_directories(std::string_view directory) {
  TRY(const fs::path full, resolve(directory));
  fs::path parent = root_;
  for (const fs::path& word : fs::path(directory)) {
    if (word.empty() || word == ".") continue;
    const fs::path child = parent / word;
    if (::mkdir(child.c_str(), 0755) != 0) {
      const int number = errno;
      std::error_code looked;  // Of a disk that refuses even this.
      const bool there = number == EEXIST && fs::is_directory(child, looked);
      if (!there) {
        return fail(
            errno_error(looked ? looked.value() : number, fmt::format("mkdir {}", child.string())));
      }
    }
    TRY_VOID(sync_path(parent));
    parent = child;
  }
  return {};
}

Result<void> RealDisk::rename(std::string_view from, std::string_view to) {
  TRY(const fs::path source, resolve(from));
  TRY(const fs::path target, resolve(to));
  TRY_VOID(pass(DiskOperation::rename, from));
  if (::rename(source.c_str(), target.c_str()) != 0) {
    return fail(errno_error(errno, fmt::format("rename {} to {}", source.string(), to)));
  }
  return {};
}

Result<void> RealDisk::remove(std::string_view path) {
  TRY(const fs::path full, resolve(path));
  TRY_VOID(pass(DiskOperation::remove, path));
  if (::unlink(full.c_str()) != 0 && errno != ENOENT) {
    return fail(errno_error(errno, fmt::format("remove {}", full.string())));
  }
  return {};
}

Result<void> RealDisk::remove_all(std::string_view directory) {
  TRY(const fs::path full, resolve(directory));
  if (full.lexically_normal() == root_.lexically_normal()) {
    return fail(Errc::invalid, "the data directory itself is not removed");
  }
  std::error_code error;
  fs::remove_all(full, error);
  if (error) return fail(errno_error(error.value(), fmt::format("remove {}", full.string())));
  return {};
}

Result<void> RealDisk::sync_directory(std::string_view directory) {
  TRY(const fs::path full, resolve(directory));
  TRY_VOID(pass(DiskOperation::sync_directory, directory));
  return sync_path(full);
}

Result<Bytes> RealDisk::read_file(std::string_view path) {
  TRY(const fs::path full, resolve(path));
  TRY_VOID(pass(DiskOperation::read, path));
  TRY(Fd fd, open_fd(full, O_RDONLY));
  TRY(const std::uint64_t size, size_of(fd.get(), full.string()));
  return read_up_to(fd.get(), 0, static_cast<std::size_t>(size), full.string());
}

Result<void> RealDisk::write_file_atomically(std::string_view path, ByteView bytes) {
  TRY(const fs::path full, resolve(path));
  TRY_VOID(pass(DiskOperation::replace, path));
  const fs::path temporary = full.string() + ".tmp";
  if (auto written = write_new_file(temporary, bytes); !written) {
    ::unlink(temporary.c_str());
    return written;
  }
  if (::rename(temporary.c_str(), full.c_str()) != 0) {
    return fail(errno_error(errno, fmt::format("rename to {}", full.string())));
  }
  return sync_path(full.parent_path());
}

void RealDisk::drain() {
  if (parts_.ring != nullptr) parts_.ring->drain();
}

}  // namespace qlab::runtime
