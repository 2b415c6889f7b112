#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/real/guarded_copy.h"
#include "runtime/real/real_file.h"

namespace qlab::runtime {
namespace {

// A file is mapped in windows of this size, those used last alone: a process may have 65,530 maps
// (vm.max_map_count), and thousands of files.
constexpr std::uint64_t window_bytes = 64u << 20;
constexpr std::size_t windows_max = 4;

// Space is allocated ahead in steps as large as the file itself, between these.
constexpr std::uint64_t step_min = 64u << 10;
constexpr std::uint64_t step_max = 4u << 20;

constexpr std::uint64_t page_bytes = 4096;

// Pages that stay mapped for as long as somebody holds them.
struct Pages {
  std::shared_ptr<std::byte> map;
  std::span<std::byte> bytes;
};

// A part of a file in memory, and what of it was stored to and not synced since.
class Window {
 public:
  static Result<Window> map(int fd, std::uint64_t index, const std::string& name) {
    void* const address = ::mmap(nullptr, window_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                                 static_cast<off_t>(index * window_bytes));
    if (address != MAP_FAILED) return Window(index, static_cast<std::byte*>(address));
    if (errno != ENOMEM) return fail(errno_error(errno, fmt::format("map {}", name)));
    return fail(Errc::no_space, "map {}: no memory or no map is left; see vm.max_map_count", name);
  }

  std::uint64_t index() const { return index_; }
  std::span<std::byte> bytes() const { return {map_.get(), window_bytes}; }

  void mark_dirty(std::uint64_t begin, std::uint64_t end) {
    dirty_begin_ = std::min(dirty_begin_, begin);
    dirty_end_ = std::max(dirty_end_, end);
  }
  bool is_dirty() const { return dirty_begin_ < dirty_end_; }
  // The dirty pages, which count as clean from here on.
  Pages take_dirty() {
    const std::uint64_t begin = dirty_begin_ - dirty_begin_ % page_bytes;
    const std::uint64_t end = std::exchange(dirty_end_, 0);
    dirty_begin_ = window_bytes;
    return {map_, bytes().subspan(begin, end - begin)};
  }

 private:
  Window(std::uint64_t index, std::byte* address)
      : index_(index), map_(address, [](std::byte* map) { ::munmap(map, window_bytes); }) {}

  std::uint64_t index_;  // Of the file's windows.
  std::shared_ptr<std::byte> map_;
  std::uint64_t dirty_begin_ = window_bytes;  // Within the window; begin >= end: nothing is dirty.
  std::uint64_t dirty_end_ = 0;
};

// What a sync has to do, gathered on the shard and done on the helper.
struct SyncJob {
  int fd;
  std::vector<Pages> dirty;
  bool whole_file;
  std::string name;

  Result<void> operator()() const {
    for (const Pages& pages : dirty) {
      if (::msync(pages.bytes.data(), pages.bytes.size(), MS_SYNC) != 0) {
        return fail(errno_error(errno, fmt::format("msync {}", name)));
      }
    }
    if (whole_file && ::fdatasync(fd) != 0) {
      return fail(errno_error(errno, fmt::format("sync {}", name)));
    }
    return {};
  }
};

class MappedFile final : public RealFile {
 public:
  MappedFile(Fd fd, std::string name, DiskParts& parts, std::uint64_t size)
      : RealFile(std::move(fd), std::move(name), parts), size_(size), allocated_(size) {}
  ~MappedFile() override {
    if (fd_.is_open()) (void)before_close();
  }

  Result<std::uint64_t> size() const override {
    if (!fd_.is_open()) return fail(Errc::closed, "size of {}", name_);
    return size_;
  }

 protected:
  Task<Result<void>> do_write(std::uint64_t position, std::vector<ByteView> pieces) override {
    co_return store(position, pieces);
  }

  Task<Result<void>> do_sync() override {
    CO_TRY_VOID(may_sync());
    // Pages that a sync before this one took are on their way: the helper ends that one first.
    SyncJob job{fd_.get(), {}, std::exchange(whole_file_dirty_, false), name_};
    for (Window& window : windows_) {
      if (window.is_dirty()) job.dirty.push_back(window.take_dirty());
    }
    auto outcome = co_await parts_.helper.run(std::move(job));
    co_return remember(std::move(outcome));
  }

  Task<Result<void>> do_write_durably(std::uint64_t position,
                                      std::vector<ByteView> pieces) override {
    CO_TRY_VOID(may_sync());
    CO_TRY_VOID(store(position, pieces));
    co_return co_await do_sync();
  }

  Task<Result<Bytes>> do_read(std::uint64_t position, std::size_t count) override {
    if (!fd_.is_open()) co_return fail(Errc::closed, "read {}", name_);
    if (position >= size_) co_return Bytes{};
    Bytes bytes(static_cast<std::size_t>(std::min<std::uint64_t>(count, size_ - position)));
    for (std::size_t got = 0; got < bytes.size();) {
      CO_TRY(Window* const window, window_at(position + got));
      const auto place = window->bytes().subspan((position + got) % window_bytes);
      const auto into = std::span(bytes).subspan(got);
      const auto from = place.first(std::min(place.size(), into.size()));
      if (!copy_guarded(into, from, window->bytes())) {
        co_return fail(Errc::io, "read {} at {}: a page cannot be had", name_, position + got);
      }
      got += from.size();
    }
    co_return bytes;
  }

  void resized(std::uint64_t size) override {
    size_ = size;
    allocated_ = size;
  }

  void unmap() override {
    windows_.clear();
    whole_file_dirty_ = true;
  }

  // What was allocated ahead goes.
  Result<void> before_close() override {
    unmap();
    if (allocated_ <= size_ || ::ftruncate(fd_.get(), static_cast<off_t>(size_)) == 0) return {};
    return fail(errno_error(errno, fmt::format("truncate {} to {}", name_, size_)));
  }

 private:
  Result<void> store(std::uint64_t position, const std::vector<ByteView>& pieces) {
    if (!fd_.is_open()) return fail(Errc::closed, "write {}", name_);
    std::uint64_t end = position;
    for (const ByteView piece : pieces) end += piece.size();
    if (end > allocated_) TRY_VOID(grow_to(end));
    for (ByteView piece : pieces) {
      while (!piece.empty()) {
        TRY(const std::size_t stored, store_in_window(position, piece));
        piece = piece.subspan(stored);
        position += stored;
      }
    }
    return {};
  }

  Result<std::size_t> store_in_window(std::uint64_t position, ByteView piece) {
    TRY(Window* const window, window_at(position));
    const std::uint64_t at = position % window_bytes;
    const auto place = window->bytes().subspan(at);
    const ByteView stored = piece.first(std::min(place.size(), piece.size()));
    // A copy that fails may have stored a part.
    window->mark_dirty(at, at + stored.size());
    size_ = std::max(size_, position + stored.size());
    if (copy_guarded(place, stored, window->bytes())) return stored.size();
    return fail(Errc::io, "write {} at {}: a page cannot be had", name_, position);
  }

  // Before a page is stored to, so that a full disk is an error and no signal. When there is no
  // room to allocate ahead there may be enough for what is needed now.
  Result<void> grow_to(std::uint64_t end) {
    const std::uint64_t needed = (end + page_bytes - 1) / page_bytes * page_bytes;
    const std::uint64_t ahead = needed + std::clamp(size_, step_min, step_max);
    whole_file_dirty_ = true;
    auto grown = allocate(fd_.get(), allocated_, ahead, name_);
    if (grown) allocated_ = ahead;
    if (grown || grown.error().code != Errc::no_space) return grown;
    TRY_VOID(allocate(fd_.get(), allocated_, needed, name_));
    allocated_ = needed;
    return {};
  }

  // The window that holds a position: the first of windows_ from here on.
  Result<Window*> window_at(std::uint64_t position) {
    const std::uint64_t index = position / window_bytes;
    const auto found =
        std::ranges::find_if(windows_, [&](const Window& w) { return w.index() == index; });
    if (found != windows_.end()) {
      std::rotate(windows_.begin(), found, found + 1);
      return &windows_.front();
    }
    TRY(Window window, Window::map(fd_.get(), index, name_));
    if (windows_.size() == windows_max) {
      whole_file_dirty_ = whole_file_dirty_ || windows_.back().is_dirty();
      windows_.pop_back();
    }
    windows_.insert(windows_.begin(), std::move(window));
    return &windows_.front();
  }

  std::vector<Window> windows_;  // The one used last comes first; at most windows_max.
  std::uint64_t size_;           // What was written or prepared; size_ <= allocated_.
  std::uint64_t allocated_;      // The file's length for the kernel; zeros beyond size_.
  // More than the windows' dirty pages: a new length, or pages of a window that went.
  bool whole_file_dirty_ = true;
};

}  // namespace

Result<std::unique_ptr<File>> make_mapped_file(Fd fd, std::string name, DiskParts& parts) {
  TRY_VOID(guard_copies());
  TRY(const std::uint64_t size, size_of(fd.get(), name));
  return std::make_unique<MappedFile>(std::move(fd), std::move(name), parts, size);
}

}  // namespace qlab::runtime
