// qlab-recording-disk: a file system in user space (FUSE) with three files.
//
//   disk     the bytes of a disk, for a loop device; every write and flush is recorded
//   said     what is written here is recorded between them, and read as of the moment that the disk
//            is at
//   control  orders, one to a write; reading it gives the state as JSON
//
// Orders: `begin`; `go EVENTS`; `cut EVENTS SEED` (disk_record.h); `fail write|flush AFTER COUNT`:
// after that many more, the next COUNT of them fail with EIO; `heal`.
//
// One thread serves all, so the order in which requests come is the order that is recorded. Memory
// is locked, because the kernel may need a page that this disk has to take.

#define FUSE_USE_VERSION 31

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include <fuse3/fuse.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "storage/crash/disk_record.h"

namespace qlab::storage {
namespace {

// Operations of one kind that are to fail.
struct Failing {
  std::uint64_t after = 0;
  std::uint64_t count = 0;

  bool takes_next() {
    if (after > 0) {
      after -= 1;
      return false;
    }
    if (count == 0) return false;
    count -= 1;
    return true;
  }
};

struct State {
  explicit State(std::size_t size) : record(size) {}
  DiskRecord record;
  Failing writes;
  Failing flushes;
  std::uint64_t failed = 0;  // Operations that were failed.
};

State& state() {
  return *static_cast<State*>(fuse_get_context()->private_data);
}

std::string list(const std::vector<std::size_t>& numbers) {
  return fmt::format("[{}]", fmt::join(numbers, ","));
}

std::string describe(const State& state) {
  const DiskRecord& record = state.record;
  return fmt::format(
      "{{\"events\":{},\"failed\":{},\"flushes\":{},\"said\":{},\"said_ends\":{}}}\n",
      record.event_count(), state.failed, list(record.flushes()), list(record.said()),
      list(record.said_ends()));
}

bool obey(State& state, const std::string& order) {
  std::istringstream words(order);
  std::string verb;
  words >> verb;
  if (verb == "begin") {
    state.record.begin();
    return true;
  }
  if (verb == "heal") {
    state.writes = state.flushes = {};
    return true;
  }
  if (verb == "fail") {
    std::string what;
    Failing failing;
    words >> what >> failing.after >> failing.count;
    if (!words || (what != "write" && what != "flush")) return false;
    (what == "write" ? state.writes : state.flushes) = failing;
    return true;
  }
  std::size_t events = 0;
  std::uint64_t seed = 0;
  words >> events;
  if (verb == "cut") words >> seed;
  if (!words || events > state.record.event_count()) return false;
  if (verb == "go") state.record.go_to(events);
  if (verb == "cut") state.record.go_to_power_cut(events, seed);
  return verb == "go" || verb == "cut";
}

enum class Name : std::uint8_t { root, disk, said, control, none };

Name name_of(std::string_view path) {
  if (path == "/") return Name::root;
  if (path == "/disk") return Name::disk;
  if (path == "/said") return Name::said;
  return path == "/control" ? Name::control : Name::none;
}

std::size_t size_of(Name name) {
  if (name == Name::disk) return state().record.size();
  if (name == Name::said) return state().record.text().size();
  return name == Name::control ? describe(state()).size() : 0;
}

int get_attributes(const char* path, struct stat* out, fuse_file_info*) {
  const Name name = name_of(path);
  if (name == Name::none) return -ENOENT;
  *out = {};
  out->st_mode = name == Name::root ? S_IFDIR | 0700 : S_IFREG | 0600;
  out->st_nlink = 1;
  out->st_size = static_cast<off_t>(size_of(name));
  return 0;
}

int read_directory(const char*, void* buffer, fuse_fill_dir_t fill, off_t, fuse_file_info*,
                   fuse_readdir_flags) {
  for (const char* name : {".", "..", "disk", "said", "control"}) {
    fill(buffer, name, nullptr, 0, fuse_fill_dir_flags{});
  }
  return 0;
}

int open_file(const char* path, fuse_file_info* info) {
  info->direct_io = 1;
  return name_of(path) == Name::none ? -ENOENT : 0;
}

int truncate_file(const char* path, off_t, fuse_file_info*) {
  return name_of(path) == Name::control ? 0 : -EPERM;
}

int read_text(std::string_view text, char* buffer, std::size_t count, std::uint64_t position) {
  const std::string_view part = text.substr(std::min<std::size_t>(position, text.size()), count);
  std::memcpy(buffer, part.data(), part.size());
  return static_cast<int>(part.size());
}

int read_file(const char* path, char* buffer, std::size_t count, off_t at, fuse_file_info*) {
  const auto position = static_cast<std::uint64_t>(at);
  const DiskRecord& record = state().record;
  if (name_of(path) == Name::said) return read_text(record.text(), buffer, count, position);
  if (name_of(path) == Name::control) return read_text(describe(state()), buffer, count, position);
  if (position >= record.size()) return 0;
  count = std::min<std::size_t>(count, record.size() - position);
  record.read(position, {reinterpret_cast<std::byte*>(buffer), count});
  return static_cast<int>(count);
}

int write_file(const char* path, const char* bytes, std::size_t count, off_t at, fuse_file_info*) {
  const std::string_view text(bytes, count);
  State& all = state();
  if (name_of(path) == Name::said) {
    all.record.say(text);
    return static_cast<int>(count);
  }
  if (name_of(path) == Name::control) {
    return obey(all, std::string(text)) ? static_cast<int>(count) : -EINVAL;
  }
  const auto position = static_cast<std::uint64_t>(at);
  if (position + count > all.record.size()) return -ENOSPC;
  if (all.writes.takes_next()) {
    all.failed += 1;
    return -EIO;
  }
  all.record.write(position, as_view(text));
  return static_cast<int>(count);
}

int flush_disk(const char* path, int, fuse_file_info*) {
  if (name_of(path) != Name::disk) return 0;
  State& all = state();
  if (all.flushes.takes_next()) {
    all.failed += 1;
    return -EIO;
  }
  all.record.flush();
  return 0;
}

// A loop device asks for it to discard blocks; refused, it writes zeros or leaves it.
int allocate(const char*, int, off_t, off_t, fuse_file_info*) {
  return -EOPNOTSUPP;
}

fuse_operations operations() {
  fuse_operations all{};
  all.getattr = get_attributes;
  all.readdir = read_directory;
  all.open = open_file;
  all.truncate = truncate_file;
  all.read = read_file;
  all.write = write_file;
  all.fsync = flush_disk;
  all.fallocate = allocate;
  return all;
}

int run(int count, char** words) {
  std::size_t size = 0;
  const std::string_view last = count == 3 ? words[2] : "";
  std::from_chars(last.data(), last.data() + last.size(), size);
  if (count != 3 || size == 0 || size % DiskRecord::sector_bytes != 0) {
    fmt::print(stderr,
               "qlab-recording-disk MOUNTPOINT BYTES\n"
               "Serves the files disk, said and control there until it is unmounted; the "
               "comment in recording_disk.cc says what they are. Needs root.\n");
    return 2;
  }
  State all(size);
  if (::mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
    fmt::print(stderr, "qlab-recording-disk: memory cannot be locked ({}); going on\n",
               std::strerror(errno));
  }
  std::string name(words[0]);
  std::string mountpoint(words[1]);
  std::string foreground = "-f";
  std::string one_thread = "-s";
  std::array<char*, 5> arguments = {name.data(), foreground.data(), one_thread.data(),
                                    mountpoint.data(), nullptr};
  const fuse_operations offered = operations();
  return fuse_main(4, arguments.data(), &offered, &all);
}

}  // namespace
}  // namespace qlab::storage

int main(int count, char** words) {
  return qlab::storage::run(count, words);
}
