#include "storage/bench/page_cache.h"

#include <algorithm>
#include <fstream>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/real/fd.h"

namespace qlab::storage::bench {
namespace {

using runtime::Fd;

template <class Act>
Result<void> for_each_file(const std::filesystem::path& directory, Act act) {
  std::error_code error;
  std::filesystem::recursive_directory_iterator files(directory, error);
  if (error) return fail(errno_error(error.value(), directory.string()));
  for (const auto& entry : files) {
    if (entry.is_regular_file(error)) TRY_VOID(act(entry.path()));
  }
  return {};
}

// Pages of a file that are in memory. Source: mincore(2).
std::uint64_t resident(const Fd& fd, std::uint64_t bytes) {
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  void* const map = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (map == MAP_FAILED) return 0;
  std::vector<unsigned char> pages((bytes + page - 1) / page);
  std::uint64_t count = 0;
  if (::mincore(map, bytes, pages.data()) == 0) {
    count = static_cast<std::uint64_t>(
        std::count_if(pages.begin(), pages.end(), [](unsigned char p) { return (p & 1) != 0; }));
  }
  (void)::munmap(map, bytes);
  return std::min(bytes, count * page);
}

}  // namespace

Result<void> make_cold(const std::filesystem::path& directory, Cold cold) {
  if (cold == Cold::no) return {};
  TRY_VOID(for_each_file(directory, [](const std::filesystem::path& path) -> Result<void> {
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.is_open() || ::fsync(fd.get()) != 0 ||
        ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED) != 0) {
      return fail(errno_error(errno, fmt::format("drop the pages of {}", path.string())));
    }
    return {};
  }));
  if (cold == Cold::files) return {};
  constexpr const char* knob = "/proc/sys/vm/drop_caches";
  std::ofstream out(knob);
  out << "3\n";
  out.close();
  if (!out) return fail(Errc::io, "{} may not be written; allowed is --cold=files", knob);
  return {};
}

Cached cached(const std::filesystem::path& directory) {
  Cached all;
  const auto add = [&](const std::filesystem::path& path) -> Result<void> {
    std::error_code error;
    const std::uint64_t bytes = std::filesystem::file_size(path, error);
    ++all.files;
    if (error || bytes == 0) return {};
    all.bytes += bytes;
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (fd.is_open()) all.bytes_cached += resident(fd, bytes);
    return {};
  };
  const Result<void> ignored = for_each_file(directory, add);
  (void)ignored;
  return all;
}

}  // namespace qlab::storage::bench
