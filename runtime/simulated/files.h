#pragma once
// The contents of a simulated disk: what programs see (the page cache) beside what is durable, and
// what a crash makes of the difference.
//
// A write is seen at once and durable with the sync that follows it; a created, renamed or removed
// name is durable with the sync of its directory. A crash keeps, of what is not durable, whatever
// it likes: nothing, all, a prefix, or any subset of 512-byte sectors; of names likewise a prefix
// or a subset. Directories appear durably; renaming one is a single change.
// Source: ALICE (OSDI'14) for the persistence model; ATC'20 "Can Applications Recover from fsync
// Failures?" for a failed sync as ext4 does it; docs/formats.md for the pages that ext4 loses.
//
// Paths are relative and checked by split_path. No time passes here; disk.h adds that.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/prng.h"

namespace qlab::runtime {

// `a//b/` becomes `a/b`; empty is the root. Errors: invalid, when it is absolute or has . or ..
Result<std::string> normal_path(std::string_view path);
// The directory of a normal path; empty for the root's own.
std::string parent_of(std::string_view path);

// A file's bytes, with or without a name.
class Inode {
 public:
  static constexpr std::size_t sector_bytes = 512;
  static constexpr std::size_t page_bytes = 4096;
  using ChangeId = std::uint64_t;

  const Bytes& cached() const { return cached_; }
  const Bytes& durable() const { return durable_; }

  // A change begins, which is when readers see it, and ends when its caller hears of it. A sync
  // takes what has ended before it begins.
  ChangeId begin_write(std::uint64_t position, ByteView bytes);
  // The same past the page cache, which is to hold nothing of these pages from here on.
  ChangeId begin_direct_write(std::uint64_t position, ByteView bytes);
  ChangeId begin_truncate(std::uint64_t size);
  void end(ChangeId change);
  // A truncation is durable when it ends, whatever was written before.
  void end_truncate(ChangeId change);

  std::vector<ChangeId> begin_sync() const;
  // Any of the changes that have ended; what they overwrote of others is not to come back.
  void end_sync(const std::vector<ChangeId>& changes);
  // The pages are marked clean all the same: readers see them until a crash, no later sync writes
  // them, and which sectors got to the disk is drawn. Or, as drawn, pages that were new stay mapped
  // to blocks that count as never written: to the disk these are zeros, and so is all that is
  // written to them later, until forget_cached() or a direct write.
  void fail_sync(const std::vector<ChangeId>& changes, Prng& random);
  // Readers see what the disk has, and what is not durable yet; the size is not forgotten.
  void forget_cached();

  // Replaces all, durably.
  void replace(ByteView bytes);
  void lose_unsynced(Prng& random);
  // The process died in the middle of its calls, and the kernel did them.
  void end_all();

 private:
  struct Change {
    ChangeId id = 0;
    std::uint64_t position = 0;  // For a truncation the new size.
    Bytes bytes;
    bool truncates = false;
    bool ended = false;
  };
  enum class Survival : std::uint8_t { nothing, all, prefix, sectors, sectors_and_size };

  // Takes the bytes in [from, to) out of earlier writes.
  static void forget(std::vector<Change>& earlier, std::uint64_t from, std::uint64_t to);
  void apply(const Change& change);
  // What a write leaves on the disk.
  void reach_disk(std::uint64_t position, ByteView bytes);
  void apply_sectors(const Change& change, Prng& random);
  void apply_torn(const Change& change, Prng& random);

  Bytes cached_;
  Bytes durable_;
  std::set<std::uint64_t> lost_pages_;  // By number: mapped to blocks that count as never written.
  std::vector<Change> changes_;         // Begun and not durable, in the order in which they began.
  ChangeId last_ = 0;
};

// The names, and the inodes behind them.
class SimulatedFiles {
 public:
  using InodeRef = std::shared_ptr<Inode>;

  InodeRef find(const std::string& path) const;  // Null when there is none.
  bool is_directory(const std::string& path) const {
    return path.empty() || seen_.directories.contains(path);
  }
  // Requires: no such name; its directory exists.
  InodeRef create(const std::string& path);
  void make_directories(const std::string& path);  // Durable.
  // Not durable before its parent is synced. Requires: its parent exists.
  void make_directory(const std::string& path);
  // Errors: not_found; exists, when `to` is a directory.
  Result<void> rename(const std::string& from, const std::string& to);
  void remove(const std::string& path);  // Of a file; no effect without one.
  void remove_all(const std::string& directory);
  void sync_directory(const std::string& directory);
  // What a sync of the whole file system takes: all writes that have ended.
  struct SyncAll {
    std::vector<std::pair<InodeRef, std::vector<Inode::ChangeId>>> inodes;
  };
  SyncAll begin_sync_all();  // Names are durable from here on, data when it ends.
  // Old or new, whole, and durable. Requires: its directory exists.
  void replace(const std::string& path, ByteView bytes);
  std::vector<std::string> list(const std::string& directory) const;

  // What is durable of a file under its durable name.
  std::optional<Bytes> durable(const std::string& path) const;

  // What is left after the power went. With `lose` false only the process died, and the page cache
  // is still there.
  void crash(bool lose, Prng& random);

 private:
  // One atomic change of names that is not durable yet.
  struct NameChange {
    std::string directory;  // Whose sync makes it durable.
    std::vector<std::pair<std::string, InodeRef>> unlinked;
    std::vector<std::pair<std::string, InodeRef>> linked;
    std::vector<std::string> directories_gone;
    std::vector<std::string> directories_come;
  };
  struct Names {
    std::map<std::string, InodeRef> files;
    std::set<std::string> directories;
    void apply(const NameChange& change);
    // A change of names that are not there yet depends on one that was lost.
    bool has_all(const std::vector<std::pair<std::string, InodeRef>>& names) const;
  };

  void change(NameChange change);
  // What is in a directory goes with it, whatever was synced there.
  void lose_directory(const std::string& path);

  Names seen_;
  Names durable_;
  std::vector<NameChange> changes_;  // Seen and not durable, in order.
  std::set<std::string> new_;        // Directories whose own names are not durable.
};

}  // namespace qlab::runtime
