#pragma once
// How a segment's bytes reach the disk and come back. One file in engines/ per engine;
// storage/engines.cc names them.
//
// Append is not sync: an append is readable at once and durable only when a later sync says so.
// Everything above (the log, its indexes, the consensus log) is written against this header;
// everything below is the runtime's disk, where faults are injected. engine_contract_test.cc runs
// over every engine.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.h"
#include "runtime/runtime.h"
#include "storage/engine_options.h"

namespace qlab::storage {

using runtime::Task;

// Hears that a segment has given back what it held of the system.
class ReleaseListener {
 public:
  virtual void on_released() = 0;

 protected:
  ~ReleaseListener() = default;
};

// One append-only file of a log.
//
// Thread: the shard that opened it. Appends, reads and syncs may be under way at the same time;
// appends take effect in the order in which they were called. After a failed append or sync the
// segment is poisoned: every later append and sync fails with the same error until the segment is
// opened anew, because nothing is known of the bytes since the last good sync. Reads below
// durable_size() go on; above it they fail too.
class Segment {
 public:
  virtual ~Segment() = default;

  // Puts `pieces`, one after the other, at the end. Readable when the task ends.
  // Requires: the bytes stay alive and unchanged until then.
  // Durability: none; see sync(). Errors: no_space (the segment is as before and not poisoned;
  // appends that were gathered into the same write fail with it), io.
  virtual Task<Result<void>> append(std::vector<ByteView> pieces) = 0;

  // The same within the call, for one piece, where the engine need wait for nothing; nothing when
  // it would have to, and then nothing was done. Cost: no coroutine frame.
  virtual std::optional<Result<void>> try_append([[maybe_unused]] ByteView bytes) {
    return std::nullopt;
  }

  // Makes durable at least what was appended before this call. Calls that overlap share one sync of
  // the disk (group commit). Returns the durable size. Errors: no_space, from an engine that writes
  // only now: what does not fit stays in the segment and is readable, and the next sync or append
  // tries it again; io, and the segment is poisoned.
  virtual Task<Result<std::uint64_t>> sync() = 0;

  // Up to `count` bytes from `position`; fewer only at size().
  // Errors: out_of_range, when position > size(); io.
  virtual Task<Result<Bytes>> read(std::uint64_t position, std::size_t count) = 0;

  // Drops everything from `size` on, durably. Requires: size <= this->size(); no append is under
  // way.
  virtual Task<Result<void>> truncate(std::uint64_t size) = 0;

  // From here on reads give what the disk has, and what is written reaches it. After a failed sync,
  // of this process or one before, the page cache may show bytes that the disk has not got, take
  // them for clean, and on ext4 keep from the disk whatever is written to those pages later
  // (docs/formats.md). No effect where reads come from the disk itself.
  // Requires: no other call is under way. Errors: io.
  virtual Task<Result<void>> forget_cached() { co_return Result<void>{}; }

  // Writes everything from `position` on once more, as it is read: what the disk gives may be in
  // its own cache alone, after a flush that failed. The next sync() makes durable what was
  // rewritten. Nothing to do where writes are durable by themselves.
  // Requires: position <= size(); no append is under way. Errors: no_space (nothing is lost), io.
  virtual Task<Result<void>> rewrite(std::uint64_t position) = 0;

  virtual std::uint64_t size() const = 0;  // Appended.
  // durable_size() <= size(). 0 after open until the first sync.
  virtual std::uint64_t durable_size() const = 0;
  // Notes that Disk::sync_filesystem(), begun when `size` bytes had been appended, made them and
  // the entry in the directory durable. No effect unless Engine::is_synced_by_filesystem().
  virtual void note_durable(std::uint64_t) {}
  // Gives back what it holds of the system, a descriptor above all, until a call needs it again.
  // Calls that come meanwhile wait. No effect where nothing is held. Errors: as sync() and close().
  virtual Task<Result<void>> release() { co_return Result<void>{}; }
  // Who is told whenever it was released, by this or by others; nobody when null.
  virtual void set_listener(ReleaseListener*) {}
  // Without a sync. Requires: no call is under way; every later one fails with closed.
  virtual Task<Result<void>> close() = 0;
};

class Engine {
 public:
  virtual ~Engine() = default;
  virtual std::string_view name() const = 0;
  // False when its segments end with the engine object (memory): whoever uses it then keeps no
  // files beside them either.
  virtual bool is_persistent() const = 0;
  // False when what is appended cannot be read, which is then unsupported (null).
  virtual bool keeps_bytes() const { return true; }
  // True when Disk::sync_filesystem() makes durable every append that has ended.
  virtual bool is_synced_by_filesystem() const { return false; }

  // Prepares spare files and goes on doing so, as the options say; returns when the first are
  // there. Without it no file is prepared. Requires: called at most once, and then stop() before
  // destruction. Errors: no_space, io; then segments get plain files, as far as there are no
  // spares.
  virtual Task<Result<void>> start() { co_return Result<void>{}; }
  // Joins what start() began. Segments may stay open.
  virtual Task<void> stop() { co_return; }

  // Opens or creates. The entry in the directory is durable once the first sync() returned.
  // Requires: no segment of that path is open; the directory exists, if the engine is persistent.
  virtual Task<Result<std::unique_ptr<Segment>>> open(std::string path) = 0;
  // Names of the files in `directory`, sorted; none when there is no such directory.
  virtual Result<std::vector<std::string>> list(std::string_view directory) = 0;
  // Deletes a closed segment, or keeps its file as a spare; not_found is no error. Durability:
  // none; see Disk::sync_directory.
  virtual Result<void> remove(std::string_view path) = 0;
};

// The engines of this build, in the order in which help texts list them.
std::vector<std::string_view> engine_names();

// Requires: `runtime` outlives the engine.
// Errors: invalid, naming the engine asked for and those that exist, or as EngineOptions::validate.
Result<std::unique_ptr<Engine>> make_engine(std::string_view name, runtime::Runtime& runtime,
                                            EngineOptions options = {});

}  // namespace qlab::storage
