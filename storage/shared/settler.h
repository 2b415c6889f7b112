#pragma once
// What goes on behind the appends: full segments of the shared log are settled, settled files are
// merged, checkpoints are written, and what is not needed any more is deleted.
//
// The order is what makes it safe: a settled file is durable before the manifest names it, the
// manifest is durable before a segment of the shared log or an older file is given up, and no
// segment is given up that a replay from the latest checkpoint needs.
//
// Thread: one shard; one job at a time.

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "runtime/async.h"
#include "storage/shared/options.h"
#include "storage/shared/settled_files.h"
#include "storage/shared/wal.h"
#include "storage/turnstile.h"

namespace qlab::storage::shared {

class Settler {
 public:
  // Requires: all outlive it.
  Settler(runtime::Runtime& runtime, Engine& engine, const SharedOptions& options,
          std::string directory, StreamTable& streams, Wal& wal, SettledFiles& files);

  // `unsettled` as note_unsettled() would have built it.
  void begin(Manifest manifest, Position checkpoint,
             std::map<std::uint32_t, std::vector<StreamId>> unsettled);
  // A batch of that stream was written to that segment.
  void note_unsettled(std::uint32_t segment, StreamId stream);
  // Something may be due.
  void wake();
  // Bytes of settled batches were given up; some day their files are rewritten.
  void note_dead(std::uint64_t bytes);

  // Returns when the shared log has room for one more segment.
  // Errors: what keeps it from shrinking.
  Task<Result<void>> wait_for_room();
  // Returns when there is a slot for a file that replaces none. Errors: as wait_for_room().
  Task<Result<void>> wait_for_slot();
  // The number that a cut of this stream must name: settled files up to it hold what is cut.
  // Requires: the guard of begin_cut() lives until the cut has taken effect, so that no file is
  // begun in between.
  std::uint64_t last_file(const Stream& stream) const;
  Task<Turnstile::Guard> begin_cut() { return cuts_.visit(); }

  // While it lives, cuts name the file that is being written as well.
  class Writing {
   public:
    explicit Writing(Settler& settler) : count_(settler.writing_) { ++count_; }
    ~Writing() { --count_; }
    Writing(const Writing&) = delete;

   private:
    std::size_t& count_;
  };
  // For whoever rewrites a stream: while it lives, the settler rests, and the shared log may grow
  // beyond its bound.
  class Rest {
   public:
    Rest(Settler& settler, Turnstile::Guard guard)
        : count_(&settler.resting_), guard_(std::move(guard)) {
      ++*count_;
    }
    Rest(Rest&& other) noexcept
        : count_(std::exchange(other.count_, nullptr)), guard_(std::move(other.guard_)) {}
    Rest& operator=(Rest&&) = delete;
    ~Rest() {
      if (count_) --*count_;
    }

   private:
    std::size_t* count_;
    Turnstile::Guard guard_;
  };
  Task<Rest> rest();
  // Requires: a Writing, until the streams have their bits.
  Task<Result<std::unique_ptr<SettledWriter>>> begin_file();
  // Makes the file durable, names it in the manifest and gives it a slot; `next` is the manifest
  // otherwise. Ends the writer. Null when nothing was written to it. Errors: no_space, io.
  Task<Result<SettledFilePtr>> commit(std::unique_ptr<SettledWriter> writer, Manifest next);
  const Manifest& manifest() const { return manifest_; }

  Task<void> run();
  void stop();
  // Settles all there is and writes a checkpoint, so that the next start replays nothing.
  // Requires: run() has ended; nothing is appended any more.
  Task<Result<void>> settle_all();

 private:
  Task<void> wait_to_retry(Duration interval);
  void tell(const Error& why) const;
  Task<Result<bool>> do_one();
  Task<Result<bool>> do_job();
  Task<Result<void>> wait_for_progress();
  Task<Result<bool>> catch_up();
  Task<Result<void>> settle(std::uint32_t segment);
  struct Piece;
  Task<Result<void>> copy_unsettled(SettledWriter& writer, std::uint32_t segment);
  Task<Result<void>> copy_pieces(SettledWriter& writer, WalSegmentPtr from,
                                 std::vector<Piece> pieces);
  Task<Result<Bytes>> gather(WalSegmentPtr from, std::vector<Piece>& pieces);
  Task<void> switch_over(std::uint32_t segment, SettledFilePtr file);
  Task<Result<void>> merge(std::vector<SettledFilePtr> files);
  Task<Result<void>> copy_live(SettledWriter& writer, std::vector<SettledFilePtr> files);
  Task<void> replace_bits(std::uint64_t old_bits, std::uint64_t new_bits);
  std::vector<SettledFilePtr> files_to_merge() const;
  Task<Result<void>> find_dead_files();
  Task<Result<void>> write_checkpoint();
  Task<Result<void>> write_blocks(CheckpointWriter& writer);
  Task<Result<void>> drop_segments();
  Result<void> store_manifest(Manifest manifest);
  bool is_room() const;
  Task<void> yield();

  runtime::Runtime& runtime_;
  Engine& engine_;
  const SharedOptions& options_;
  const std::string directory_;
  StreamTable& streams_;
  Wal& wal_;
  SettledFiles& files_;

  Manifest manifest_;
  Position checkpoint_;                 // Nothing before it is needed for a replay of changes.
  std::uint64_t since_checkpoint_ = 0;  // Bytes settled.
  std::uint64_t dead_bytes_ = 0;        // Given up since the files were looked at.
  std::vector<SettledFilePtr> dying_;   // Of which less than half counts.
  std::map<std::uint32_t, std::vector<StreamId>> unsettled_;  // By segment, in order of writing.
  std::optional<Error> blocked_;                              // Why the last job failed.
  Duration retry_after_ = std::chrono::seconds(1);  // The next failure, but for a full disk.
  bool files_changed_ = false;                      // Since the checkpoint, by more than settling.
  bool room_wanted_ = false;
  bool file_waits_ = false;  // For cuts to take effect, which the shared log must not keep back.
  bool woken_ = false;
  bool stopping_ = false;
  std::size_t resting_ = 0;
  std::size_t writing_ = 0;  // Jobs that write a file which some stream has no bit of yet.
  Turnstile jobs_;
  Turnstile cuts_;  // Alone: whoever begins a file.
  runtime::Event changed_;
  runtime::Event progress_;  // A job has ended.
};

}  // namespace qlab::storage::shared
