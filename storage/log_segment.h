#pragma once
// One segment of a log: its data file with the two indexes over it.
//
// The indexes live in the heap. Their files are written when the segment is sealed and when the log
// is closed, and are believed only below the recovery point and only as far as the data agrees.
// They are loaded when they are first needed; those of a full segment go when its file is closed,
// and come back with the next call that needs them.

#include <memory>
#include <optional>
#include <string>

#include "common/record_batch.h"
#include "runtime/async.h"
#include "runtime/disk.h"
#include "storage/batch_scanner.h"
#include "storage/engine.h"
#include "storage/offset_index.h"
#include "storage/time_index.h"

namespace qlab::storage {

// A batch boundary that the indexes vouch for, from which on a segment is to be scanned.
struct ScanStart {
  std::uint64_t position = 0;
  Offset offset;  // Base offset of the batch there.
};

// Thread: the log's shard.
class LogSegment final : private ReleaseListener {
 public:
  // `interval` is the number of bytes between two index entries.
  LogSegment(std::unique_ptr<Segment> data, std::string directory, Offset base,
             std::uint32_t interval);

  Offset base() const { return base_; }
  Segment& data() { return *data_; }
  std::uint64_t size() const { return data_->size(); }
  std::string path() const;  // Of the data file.

  // Notes a batch that lies in the data file: indexes it when its turn has come.
  // Requires: batches are noted in order; one that was noted before may come again.
  void note(std::uint64_t position, const BatchHeader& header);
  void note(const BatchAt& batch) { note(batch.position, batch.header); }

  // Its batches are known to end at `position`, where `end` is the next offset, and are not looked
  // at before the indexes are needed. Requires: nothing was noted; `runtime` outlives it.
  void index_later(runtime::Runtime& runtime, std::uint64_t position, Offset end);
  bool is_indexed() const { return indexed_; }
  // Loads the indexes, or builds them from the batches. Errors: corrupt, naming the file; io.
  Task<Result<void>> index();
  // Nothing is appended any more: the indexes may go with the open file.
  void seal(runtime::Runtime& runtime);

  // Requires, of these three: is_indexed().
  std::uint64_t position_near(Offset offset) const { return offsets_.position_near(offset); }
  // From where a scan finds the first batch with a timestamp >= `timestamp`.
  std::uint64_t position_near_time(std::int64_t timestamp) const;
  std::int64_t max_timestamp() const;  // -1 when there is none.
  // The same, whatever is in the heap. Errors: as index().
  Task<Result<std::int64_t>> find_max_timestamp();

  // The first batch that ends beyond `offset`; nothing when there is none.
  // Errors: corrupt, naming the file; io.
  Task<Result<std::optional<BatchAt>>> find(Offset offset);
  // One past the last record before `position`, where a batch begins; base() when there is none.
  Task<Result<Offset>> end_before(std::uint64_t position);
  // The timestamp of the first batch, in milliseconds; -1 when there is none.
  Task<Result<std::int64_t>> first_timestamp();

  // Notes all batches from the last index entry on again, checking their headers; is_indexed()
  // then.
  Task<Result<void>> note_tail();
  // One past the last batch noted.
  std::uint64_t noted_end() const { return noted_end_; }

  // Forgets what the indexes say of `position` and beyond, where `offset` lies.
  // The newest timestamp is then that of what note_tail() finds.
  void forget_from(std::uint64_t position, Offset offset);

  // Reads the index files, as far as they speak of what lies before `position`, where `offset`
  // lies. Returns where their last entry points. Errors: corrupt or not_found, and the indexes are
  // empty: the segment wants a scan from its front; io.
  Task<Result<ScanStart>> load_indexes(runtime::Disk& disk, std::uint64_t position, Offset offset);
  // Writes the index files, with `suffix` behind their names, unless they say all that the heap
  // does. Durability: when the task ends. Errors: no_space, io.
  Task<Result<void>> store_indexes(runtime::Disk& disk, std::string_view suffix = {});
  bool indexes_stored() const { return indexes_stored_; }

  // True when everything in it is known to be durable. Set by recovery and by mark_durable().
  bool is_durable() const { return durable_size_ == size(); }
  void mark_durable(std::uint64_t size) { durable_size_ = size; }

 private:
  Task<Result<std::optional<BatchAt>>> find_indexed(Offset offset);
  Task<Result<std::optional<BatchAt>>> find_from(std::uint64_t position, Offset offset);
  Result<void> decode_indexes(ByteView offsets, ByteView times, std::uint64_t position,
                              Offset offset);
  Task<Result<ScanStart>> check_last_entries();
  void clear_indexes();
  void on_released() override;
  Task<Result<void>> load_or_build();
  void add_newest_to_index();
  Error corrupt_at(std::uint64_t position, const Error& why) const;

  const std::unique_ptr<Segment> data_;
  runtime::Runtime* runtime_ = nullptr;  // Set before the indexes may have to be loaded.
  const std::string directory_;
  const Offset base_;
  const std::uint32_t interval_;
  OffsetIndex offsets_;
  TimeIndex times_;
  std::uint64_t noted_end_ = 0;            // noted_end_ <= size()
  TimeIndex::Entry newest_;                // The latest timestamp and the batch that brought it.
  std::optional<std::int64_t> max_known_;  // Of a sealed segment whose indexes went.
  bool indexed_ = true;                    // The indexes are in the heap.
  bool indexing_ = false;                  // They are being loaded.
  bool sealed_ = false;
  bool indexes_stored_ = false;  // The files say all that the heap does.
  Offset index_end_;             // What the index files say of it and beyond is not believed.
  std::unique_ptr<runtime::Event> index_event_;  // While somebody waits for the indexes.
  std::uint64_t durable_size_ = 0;               // durable_size_ <= size()
};

// Writes a file through the disk's asynchronous path and makes it durable, directory entry
// excepted. A crash may leave a part of it.
Task<Result<void>> write_whole_file(runtime::Disk& disk, std::string path, Bytes bytes);

// Opens or creates one segment, with empty indexes.
Task<Result<std::shared_ptr<LogSegment>>> open_segment(Engine& engine, std::string directory,
                                                       Offset base, std::uint32_t interval);

// Deletes the files of a segment that is not open. Durability: none until the directory is synced.
Result<void> remove_segment_files(runtime::Runtime& runtime, Engine& engine,
                                  std::string_view directory, Offset base);
// Closes a segment first.
Task<Result<void>> remove_segment(runtime::Runtime& runtime, Engine& engine, std::string directory,
                                  std::shared_ptr<LogSegment> segment);

}  // namespace qlab::storage
