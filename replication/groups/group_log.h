#pragma once
// One log for the consensus groups of a shard: entries, hard states and where each group's entries
// begin, so that ten thousand groups cost one file and share each sync.
//
// File `groups-<number, 20 digits>`, in network order:
//   magic:u64 salt:u64 crc32c:u32
// then frames:
//   length:u32 (of what follows the checksum) crc32c:u32 (of salt, length and the rest)
//   durable:u64 (bytes of this file known to be durable when it was written)
//   topic:u64,u64 partition:i32 kind:u8 and, by kind,
//   1 begin     hard state, then base(epoch:i64 index:i64 end:i64), config_length:u32 config,
//               then entries as in 2
//   2 entries   (epoch:i64 index:i64 kind:u8 length:u32 body)*
//   3 truncate  from:i64
//   4 state     epoch:i64 synced_epoch:i64 has_vote:u8 vote(id:i32 directory:u64,u64)
//               has_leader:u8 leader:i32
//   5 forget    nothing
// A `begin` stands for all that came before of its group. So a file can go once every group has
// begun again behind it.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "consensus/entry_log.h"
#include "replication/groups/group_id.h"
#include "runtime/disk.h"
#include "storage/engine.h"

namespace qlab::replication {

using runtime::Task;

// Where a group's entries begin: all up to `last` is in the partition's log, durably.
struct GroupBase {
  consensus::LogId last;
  Offset end;  // A partition's log that ends here, or later, has all up to `last`.
  consensus::Config config;
};

// What a group has on the disk.
struct GroupState {
  consensus::HardState hard;
  GroupBase base;
  std::vector<consensus::Entry> entries;  // The first follows base.last.
};

struct GroupLogOptions {
  std::uint64_t file_bytes = 32u << 20;  // Beyond it the log is full, and is to be compacted.
};

// Thread: the shard that opened it.
// Invariant: a crash keeps a prefix of what was put.
class GroupLog {
 public:
  // Reads what is in `directory`, and writes it anew: all of it is durable when the task ends.
  // Requires: engine and runtime outlive it. Errors: corrupt, for what a crash does not explain,
  // naming file and byte, and nothing was changed; no_space; io.
  static Task<Result<std::unique_ptr<GroupLog>>> open(runtime::Runtime& runtime,
                                                      storage::Engine& engine,
                                                      std::string directory,
                                                      GroupLogOptions options = {});

  // What was found of a group when the log was opened, once; nothing: it was never here.
  std::optional<GroupState> take(const GroupId& group);
  // Forgets those that nobody took and that `is_wanted` does not name.
  void sweep(const std::function<bool(const GroupId&)>& is_wanted);
  // Of a group that is not open any more, and may be taken again.
  void give_back(const GroupId& group, GroupState state);

  // Queue a write. Durability: by flush().
  void begin(const GroupId& group, const GroupState& state);
  void append(const GroupId& group, const std::vector<consensus::Entry>& entries);
  void truncate(const GroupId& group, LogIndex from);
  void save(const GroupId& group, const consensus::HardState& state);
  void forget(const GroupId& group);

  // Makes durable all that was queued before the call, with one write and one sync.
  // Requires: no other flush or change of files is under way. Errors: no_space, io; the log is of
  // no use any more.
  Task<Result<void>> flush();

  bool is_full() const { return size_ >= full_at_; }
  // Flushes; what is put from here on goes to another file. As flush().
  Task<Result<void>> begin_file();
  // Flushes and removes the files before this one. Requires: since begin_file() every group has
  // begun anew that was not take()n before; those that nobody took are seen to here. As flush().
  Task<Result<void>> drop_old_files();

  // Requires: no flush is under way.
  Task<Result<void>> close();

  std::uint64_t syncs() const { return syncs_; }
  std::uint64_t bytes_cut() const { return bytes_cut_; }  // Of the torn tail found at open.

 private:
  GroupLog(storage::Engine& engine, runtime::Disk* disk, std::string directory,
           GroupLogOptions options, std::uint64_t salt)
      : engine_(engine),
        disk_(disk),
        directory_(std::move(directory)),
        options_(options),
        salt_(salt),
        full_at_(options.file_bytes) {}

  Task<Result<void>> recover();
  Task<Result<void>> recover_file(std::string name, bool is_last);
  Result<std::size_t> scan(ByteView file, std::string_view name, bool is_last);
  Result<void> replay(ByteView frame);
  Result<void> replay_begin(const GroupId& group, BytesReader& in);
  Result<void> replay_entries(GroupState& state, BytesReader& in);
  void put(const GroupId& group, std::uint8_t kind, ByteView head,
           const std::vector<ByteView>& rest = {});
  std::string path_of(std::uint64_t number) const;

  storage::Engine& engine_;
  runtime::Disk* const disk_;  // Null where nothing is kept.
  const std::string directory_;
  const GroupLogOptions options_;
  std::uint64_t salt_;

  std::map<GroupId, GroupState> found_;  // Not taken yet.
  // While recovering: what goes on here began in a file that is gone, so it begins anew later.
  std::set<GroupId> headless_;
  std::unique_ptr<storage::Segment> segment_;
  std::vector<std::string> old_files_;  // Before the one that is written to.
  std::uint64_t number_ = 0;            // Of the file that is written to.
  std::uint64_t size_ = 0;              // Of that file, with what is queued.
  std::uint64_t full_at_;               // Twice of what is in use, or the options' size.
  std::uint64_t flushed_ = 0;           // Of that file, durable.
  BytesWriter queued_;
  std::uint64_t syncs_ = 0;
  std::uint64_t bytes_cut_ = 0;
};

}  // namespace qlab::replication
