#pragma once
// Files that are prepared before a segment needs them, so that its appends change data only.
//
// They are made in the background and wait in a directory of their own. A new segment takes one by
// rename, and a removed one gives its file back the same way; nobody ever waits for one.
//
// What a crash may leave:
// - A rename is atomic, so a file has one name: it is a spare or a segment. Until the segment's
//   first sync has made the name durable a crash may undo the rename, and there is a spare again.
// - Spares of an earlier life are removed at the start and not used: on a file system without a
//   journal a rename may survive by half, and a file that a log owns must not be given to another.
// - The file of a removed segment is a spare only after all of it was zeroed and synced. Batches
//   of the log that had it could lie behind the end of the one that gets it, and a batch there
//   could carry just the offset that comes next. It is zeroed only after its rename is durable: a
//   crash may not bring a segment back that has lost its bytes.

#include <deque>
#include <optional>
#include <string>

#include "runtime/async.h"
#include "runtime/disk.h"
#include "storage/engine_options.h"

namespace qlab::storage {

using runtime::Task;

// Thread: one shard.
class SpareFiles {
 public:
  // New files are filled past the page cache when the segments are written so: it would take five
  // times as long through it, and ten times the CPU. Engines of the page cache need their pages
  // there: a write that ends within a page that is not has to read it first.
  SpareFiles(runtime::Runtime& runtime, runtime::IoPath io_path, EngineOptions options);

  // Removes what an earlier life left and makes the first spares; for each that is taken another is
  // made in the background. Without it there are none. Requires: called at most once. Errors: io,
  // and there will be none; no_space or io of the first that could not be made, and it is tried
  // again when one is taken.
  Task<Result<void>> start();
  // Joins the background work and removes the spares.
  Task<void> stop();

  // Names a spare `path`; false when there is none. Durability: none until the directory of `path`
  // is synced. Requires: no such file.
  bool take(std::string_view path);
  // Takes the file of a removed segment; false when it is not wanted. Durability: the name `path`
  // is gone for good. Errors: io, and it may be gone.
  Result<bool> give(std::string_view path);

  bool is_started() const { return started_; }

 private:
  void work_later();
  Task<void> work();
  Task<Result<void>> make(std::string path);
  Task<Result<void>> fill_new(std::string path);
  Task<void> renew(std::string path);
  Task<Result<void>> zero(std::string path);
  void drop(std::string_view path, const Error& why);
  Result<void> remove_remains();
  std::string next_path();

  runtime::Runtime& runtime_;
  const runtime::IoPath fill_path_;
  const EngineOptions options_;
  const std::uint64_t bytes_;  // Of a spare: prepared_bytes in whole blocks.
  bool started_ = false;
  bool stopping_ = false;
  bool working_ = false;           // work() was started and has not ended.
  bool failed_ = false;            // The last one could not be made; tried again after a change.
  std::uint64_t made_ = 0;         // Names given, all different.
  std::deque<std::string> ready_;  // Their paths; at most options_.spares.
  std::deque<std::string> given_;  // To be zeroed; they count as spares to be.
  runtime::Gate background_;
};

}  // namespace qlab::storage
