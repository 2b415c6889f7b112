#include "runtime/simulated/disk.h"

#include <algorithm>
#include <cerrno>

#include "common/check.h"
#include "runtime/aligned_buffer.h"
#include "runtime/async.h"
#include "runtime/direct_write.h"
#include "runtime/simulated/node.h"

namespace qlab::runtime {
namespace {

Bytes gather(const std::vector<ByteView>& pieces) {
  Bytes all;
  for (const ByteView piece : pieces) all.insert(all.end(), piece.begin(), piece.end());
  return all;
}

std::uint64_t whole_blocks(std::uint64_t size) {
  return (size + direct_alignment - 1) / direct_alignment * direct_alignment;
}

}  // namespace

// An open file of one life. Whatever outlives that life gets closed.
class SimulatedFile final : public File {
 public:
  SimulatedFile(SimulatedNode& node, std::string path, IoPath io_path, std::shared_ptr<Inode> inode)
      : node_(node),
        life_(node.life()),
        path_(std::move(path)),
        io_path_(io_path),
        inode_(std::move(inode)),
        filesystem_failures_(disk().filesystem_failures_) {}

  Task<Result<void>> write(std::uint64_t position, std::vector<ByteView> pieces) override;
  Task<Result<void>> sync() override;
  Task<Result<void>> write_durably(std::uint64_t position, std::vector<ByteView> pieces) override;
  Task<Result<Bytes>> read(std::uint64_t position, std::size_t count) override;
  Task<Result<void>> truncate(std::uint64_t size) override;
  Task<Result<void>> prepare(std::uint64_t size, Fill fill) override;
  Task<Result<void>> forget_cached() override;
  Result<std::uint64_t> size() const override;
  Task<Result<void>> close() override;

 private:
  Result<DiskFault> begin(DiskAccess access, SimulatedDisk::Kind kind) const;
  // Errors: io, when nothing is known of the writes since the last good sync.
  Result<void> may_sync() const;
  // Returns what it changed, which has ended.
  Task<Result<Inode::ChangeId>> write_all(std::uint64_t position, std::vector<ByteView> pieces);
  Task<Result<void>> sync_changes(std::vector<Inode::ChangeId> changes, DiskFault fault);
  // RWF_DSYNC makes the range of its own write durable and no other; so do these two.
  bool syncs_own_range() const { return io_path_ == IoPath::direct || io_path_ == IoPath::uring; }
  Task<void> wait(Duration delay) const { return sleep_for(node_, delay); }
  SimulatedDisk& disk() const { return node_.disk(); }

  SimulatedNode& node_;
  std::uint64_t life_;
  std::string path_;
  IoPath io_path_;
  std::shared_ptr<Inode> inode_;
  std::uint64_t filesystem_failures_;  // Of the disk, when this was opened.
  bool closed_ = false;
  bool sync_failed_ = false;
};

Result<DiskFault> SimulatedFile::begin(DiskAccess access, SimulatedDisk::Kind kind) const {
  if (closed_ || life_ != node_.life()) return fail(Errc::closed, "file {} is closed", path_);
  access.path = path_;
  return disk().begin(access, kind);
}

Result<void> SimulatedFile::may_sync() const {
  if (sync_failed_) return fail(Errc::io, "a sync of {} failed before", path_);
  if (filesystem_failures_ != disk().filesystem_failures_) {
    return fail(Errc::io, "a sync of the file system below {} failed before", path_);
  }
  return {};
}

Task<Result<Inode::ChangeId>> SimulatedFile::write_all(std::uint64_t position,
                                                       std::vector<ByteView> pieces) {
  const bool direct = io_path_ == IoPath::direct;
  if (direct) CO_TRY_VOID(check_direct_write(path_, position, pieces));
  const Bytes bytes = gather(pieces);
  CO_TRY(const DiskFault fault, begin({.operation = DiskOperation::write,
                                       .path = {},
                                       .position = position,
                                       .count = bytes.size()},
                                      SimulatedDisk::Kind::change));
  std::size_t arrives = bytes.size();
  if (fault.error != 0) arrives = std::min(fault.torn, bytes.size());
  if (direct) arrives -= arrives % Inode::sector_bytes;
  const ByteView arriving = ByteView(bytes).first(arrives);
  const auto change = direct ? inode_->begin_direct_write(position, arriving)
                             : inode_->begin_write(position, arriving);
  co_await wait(fault.delay + disk().options_.disk_write.draw(disk().random_));
  inode_->end(change);
  if (fault.error != 0) co_return fail(errno_error(fault.error, "write " + path_));
  co_return change;
}

Task<Result<void>> SimulatedFile::sync_changes(std::vector<Inode::ChangeId> changes,
                                               DiskFault fault) {
  co_await wait(fault.delay + disk().options_.disk_sync.draw(disk().random_));
  if (fault.error != 0) {
    sync_failed_ = true;
    inode_->fail_sync(changes, disk().random_);
    co_return fail(errno_error(fault.error, "sync " + path_));
  }
  inode_->end_sync(changes);
  co_return Result<void>{};
}

Task<Result<void>> SimulatedFile::write(std::uint64_t position, std::vector<ByteView> pieces) {
  CO_TRY_VOID(co_await write_all(position, std::move(pieces)));
  co_return Result<void>{};
}

Task<Result<void>> SimulatedFile::sync() {
  CO_TRY_VOID(may_sync());
  CO_TRY(const DiskFault fault,
         begin({.operation = DiskOperation::sync, .path = {}}, SimulatedDisk::Kind::change));
  co_return co_await sync_changes(inode_->begin_sync(), fault);
}

Task<Result<void>> SimulatedFile::write_durably(std::uint64_t position,
                                                std::vector<ByteView> pieces) {
  CO_TRY_VOID(may_sync());
  CO_TRY(const Inode::ChangeId own, co_await write_all(position, std::move(pieces)));
  CO_TRY_VOID(may_sync());
  CO_TRY(const DiskFault fault,
         begin({.operation = DiskOperation::sync, .path = {}}, SimulatedDisk::Kind::change));
  std::vector<Inode::ChangeId> changes(1, own);
  if (!syncs_own_range()) changes = inode_->begin_sync();
  co_return co_await sync_changes(std::move(changes), fault);
}

Task<Result<Bytes>> SimulatedFile::read(std::uint64_t position, std::size_t count) {
  CO_TRY(const DiskFault fault,
         begin({.operation = DiskOperation::read, .path = {}, .position = position, .count = count},
               SimulatedDisk::Kind::look));
  co_await wait(fault.delay + disk().options_.disk_read.draw(disk().random_));
  if (fault.error != 0) co_return fail(errno_error(fault.error, "read " + path_));
  const Bytes& content = inode_->cached();
  if (position >= content.size()) co_return Bytes{};
  const auto first = content.begin() + static_cast<std::ptrdiff_t>(position);
  const auto left = std::min<std::uint64_t>(count, content.size() - position);
  co_return Bytes(first, first + static_cast<std::ptrdiff_t>(left));
}

Task<Result<void>> SimulatedFile::truncate(std::uint64_t size) {
  CO_TRY_VOID(may_sync());
  CO_TRY(const DiskFault fault,
         begin({.operation = DiskOperation::truncate, .path = {}, .position = size},
               SimulatedDisk::Kind::change));
  std::optional<Inode::ChangeId> change;
  if (fault.error == 0) change = inode_->begin_truncate(size);
  co_await wait(fault.delay + disk().options_.disk_sync.draw(disk().random_));
  if (!change) co_return fail(errno_error(fault.error, "truncate " + path_));
  inode_->end_truncate(*change);
  co_return Result<void>{};
}

// Both fills are zeros that are written: what only differs in time is the same here.
Task<Result<void>> SimulatedFile::prepare(std::uint64_t size, Fill) {
  if (io_path_ == IoPath::direct) size = whole_blocks(size);
  CO_TRY_VOID(may_sync());
  CO_TRY(const DiskFault fault,
         begin({.operation = DiskOperation::prepare, .path = {}, .position = size},
               SimulatedDisk::Kind::change));
  const std::uint64_t old_size = inode_->cached().size();
  if (fault.error != 0) co_return fail(errno_error(fault.error, "prepare " + path_));
  if (size <= old_size) co_return Result<void>{};
  const Bytes zeros(static_cast<std::size_t>(size - old_size));
  const auto change = inode_->begin_write(old_size, zeros);
  co_await wait(fault.delay + disk().options_.disk_sync.draw(disk().random_));
  inode_->end(change);
  const std::vector<Inode::ChangeId> zeroed(1, change);
  inode_->end_sync(zeroed);
  co_return Result<void>{};
}

// Written back is not durable: what no sync covered may be lost all the same.
Task<Result<void>> SimulatedFile::forget_cached() {
  CO_TRY(const DiskFault fault,
         begin({.operation = DiskOperation::read, .path = {}}, SimulatedDisk::Kind::look));
  co_await wait(fault.delay + disk().options_.disk_sync.draw(disk().random_));
  if (fault.error != 0) co_return fail(errno_error(fault.error, "read " + path_));
  inode_->forget_cached();
  co_return Result<void>{};
}

Result<std::uint64_t> SimulatedFile::size() const {
  if (closed_ || life_ != node_.life()) return fail(Errc::closed, "file {} is closed", path_);
  return inode_->cached().size();
}

Task<Result<void>> SimulatedFile::close() {
  closed_ = true;
  co_return Result<void>{};
}

SimulatedDisk::SimulatedDisk(SimulatedNode& node, const WorldOptions& options, Prng random)
    : node_(node), options_(options), random_(random) {}

bool SimulatedDisk::takes_effect(Kind kind) {
  if (kind == Kind::look) return true;
  if (node_.is_doomed()) return false;
  ++changes_;
  if (changes_until_crash_ == 0 || --changes_until_crash_ > 0) return true;
  node_.doom({});
  return random_.chance(0.5);
}

Result<DiskFault> SimulatedDisk::begin(const DiskAccess& access, Kind kind) {
  if (!node_.is_up() && !node_.is_doomed()) {
    return fail(Errc::closed, "node {} is down", node_.id());
  }
  // Nothing is written and nobody hears of the error: a doomed node wakes no sleeper.
  if (!takes_effect(kind)) return DiskFault{.delay = {}, .error = EIO, .torn = 0};
  return hook_ ? hook_(access) : DiskFault{};
}

Result<bool> SimulatedDisk::begin_now(DiskOperation operation, std::string_view path, Kind kind) {
  TRY(const DiskFault fault, begin({.operation = operation, .path = path}, kind));
  if (fault.error == 0) return true;
  if (node_.is_doomed()) return false;
  return fail(errno_error(fault.error, path));
}

Task<Result<std::unique_ptr<File>>> SimulatedDisk::open(std::string path, OpenOptions options) {
  CO_TRY(const std::string name, normal_path(path));
  CO_TRY(const DiskFault fault,
         begin({.operation = DiskOperation::open, .path = name},
               options.create && !files_.find(name) ? Kind::change : Kind::look));
  co_await sleep_for(node_, fault.delay + options_.disk_read.draw(random_));
  if (fault.error != 0) co_return fail(errno_error(fault.error, "open " + name));
  if (files_.is_directory(name)) co_return fail(Errc::invalid, "'{}' is a directory", name);
  auto inode = files_.find(name);
  if (inode && options.create && options.exclusive) {
    co_return fail(Errc::exists, "file '{}' exists", name);
  }
  if (!inode && !options.create) co_return fail(Errc::not_found, "no file '{}'", name);
  if (!inode && !files_.is_directory(parent_of(name))) {
    co_return fail(Errc::not_found, "no directory for '{}'", name);
  }
  if (!inode) inode = files_.create(name);
  co_return std::make_unique<SimulatedFile>(node_, name, options.io_path, std::move(inode));
}

Result<std::unique_ptr<IoBuffer>> SimulatedDisk::make_buffer(std::size_t size) {
  return std::make_unique<AlignedBuffer>(size);
}

Task<Result<void>> SimulatedDisk::sync_filesystem() {
  if (filesystem_failures_ > 0) {
    co_return fail(Errc::io, "a sync of this file system failed before");
  }
  CO_TRY(const DiskFault fault,
         begin({.operation = DiskOperation::sync_filesystem, .path = {}}, Kind::change));
  const auto sync = files_.begin_sync_all();
  co_await sleep_for(node_, fault.delay + options_.disk_sync.draw(random_));
  if (fault.error != 0) {
    ++filesystem_failures_;
    for (const auto& [inode, changes] : sync.inodes) inode->fail_sync(changes, random_);
    co_return fail(errno_error(fault.error, "syncfs"));
  }
  for (const auto& [inode, changes] : sync.inodes) inode->end_sync(changes);
  co_return Result<void>{};
}

Result<std::vector<std::string>> SimulatedDisk::list(std::string_view directory) {
  TRY(const std::string name, normal_path(directory));
  TRY_VOID(begin_now(DiskOperation::read, name, Kind::look));
  if (!files_.is_directory(name)) return fail(Errc::not_found, "no directory '{}'", name);
  return files_.list(name);
}

Result<bool> SimulatedDisk::exists(std::string_view path) {
  TRY(const std::string name, normal_path(path));
  TRY_VOID(begin_now(DiskOperation::read, name, Kind::look));
  return files_.find(name) || files_.is_directory(name);
}

Result<void> SimulatedDisk::make_directories(std::string_view directory) {
  TRY(const std::string name, normal_path(directory));
  TRY(const bool takes_effect, begin_now(DiskOperation::sync_directory, name, Kind::change));
  if (!takes_effect) return {};
  for (std::string at = name; !at.empty(); at = parent_of(at)) {
    if (files_.find(at)) return fail(Errc::exists, "'{}' is a file", at);
  }
  files_.make_directories(name);
  return {};
}

Result<void> SimulatedDisk::make_directory(std::string_view directory) {
  TRY(const std::string name, normal_path(directory));
  TRY(const bool takes_effect, begin_now(DiskOperation::make_directory, name, Kind::change));
  if (!takes_effect) return {};
  if (files_.find(name)) return fail(Errc::exists, "'{}' is a file", name);
  if (!files_.is_directory(parent_of(name))) {
    return fail(Errc::not_found, "no directory for '{}'", name);
  }
  files_.make_directory(name);
  return {};
}

Result<void> SimulatedDisk::rename(std::string_view from, std::string_view to) {
  TRY(const std::string source, normal_path(from));
  TRY(const std::string target, normal_path(to));
  TRY(const bool takes_effect, begin_now(DiskOperation::rename, source, Kind::change));
  if (!takes_effect) return {};
  return files_.rename(source, target);
}

Result<void> SimulatedDisk::remove(std::string_view path) {
  TRY(const std::string name, normal_path(path));
  TRY(const bool takes_effect, begin_now(DiskOperation::remove, name, Kind::change));
  if (!takes_effect) return {};
  if (files_.is_directory(name)) return fail(Errc::invalid, "'{}' is a directory", name);
  files_.remove(name);
  return {};
}

Result<void> SimulatedDisk::remove_all(std::string_view directory) {
  TRY(const std::string name, normal_path(directory));
  TRY(const bool takes_effect, begin_now(DiskOperation::remove, name, Kind::change));
  if (!takes_effect) return {};
  if (name.empty()) return fail(Errc::invalid, "the root cannot be removed");
  files_.remove_all(name);
  return {};
}

Result<void> SimulatedDisk::sync_directory(std::string_view directory) {
  TRY(const std::string name, normal_path(directory));
  TRY(const bool takes_effect, begin_now(DiskOperation::sync_directory, name, Kind::change));
  if (!takes_effect) return {};
  if (!files_.is_directory(name)) return fail(Errc::not_found, "no directory '{}'", name);
  files_.sync_directory(name);
  return {};
}

Result<Bytes> SimulatedDisk::read_file(std::string_view path) {
  TRY(const std::string name, normal_path(path));
  TRY_VOID(begin_now(DiskOperation::read, name, Kind::look));
  const auto inode = files_.find(name);
  if (!inode) return fail(Errc::not_found, "no file '{}'", name);
  return inode->cached();
}

Result<void> SimulatedDisk::write_file_atomically(std::string_view path, ByteView bytes) {
  TRY(const std::string name, normal_path(path));
  TRY(const bool takes_effect, begin_now(DiskOperation::replace, name, Kind::change));
  if (!takes_effect) return {};
  if (files_.is_directory(name)) return fail(Errc::invalid, "'{}' is a directory", name);
  if (!files_.is_directory(parent_of(name))) {
    return fail(Errc::not_found, "no directory for '{}'", name);
  }
  files_.replace(name, bytes);
  return {};
}

void SimulatedDisk::crash_at_change(std::uint64_t count) {
  changes_until_crash_ = count;
}

std::optional<Bytes> SimulatedDisk::durable(std::string_view path) const {
  return files_.durable(std::string(path));
}

void SimulatedDisk::crash(bool lose_unsynced) {
  changes_until_crash_ = 0;
  filesystem_failures_ = 0;
  files_.crash(lose_unsynced, random_);
}

}  // namespace qlab::runtime
